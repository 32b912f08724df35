//! The client against canned replies.
