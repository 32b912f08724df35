//! The help of every command, and the shape of what it prints for scripts.

use clap::CommandFactory;
use expect_test::{ExpectFile, expect_file};

use crate::args::Cli;

mod init;
mod query;
mod select;
mod shapes;
mod status;

fn help(of: &str, expected: ExpectFile) {
    let mut cli = Cli::command();
    cli.build();
    let mut command = cli;
    for word in of.split_whitespace() {
        command = command.find_subcommand(word).unwrap().clone();
    }
    let text: String = command.render_long_help().to_string();
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    expected.assert_eq(&(trimmed.join("\n") + "\n"));
}

#[test]
fn the_command_line_is_without_contradictions() {
    Cli::command().debug_assert();
}

#[test]
fn the_help_tells_where_to_begin_and_what_exit_codes_mean() {
    help("", expect_file!["help/snowferry.txt"]);
}

#[test]
fn the_help_of_demo_teaches_it() {
    help("demo", expect_file!["help/demo.txt"]);
}

#[test]
fn the_help_of_emulator_teaches_it() {
    help("emulator", expect_file!["help/emulator.txt"]);
}

#[test]
fn the_help_of_apply_teaches_it() {
    help("apply", expect_file!["help/apply.txt"]);
}

#[test]
fn the_help_of_pause_teaches_it() {
    help("pause", expect_file!["help/pause.txt"]);
}

#[test]
fn the_help_of_resume_teaches_it() {
    help("resume", expect_file!["help/resume.txt"]);
}

#[test]
fn the_help_of_close_teaches_it() {
    help("close", expect_file!["help/close.txt"]);
}

#[test]
fn the_help_of_init_teaches_it() {
    help("init", expect_file!["help/init.txt"]);
}

#[test]
fn the_help_of_keygen_teaches_it() {
    help("keygen", expect_file!["help/keygen.txt"]);
}

#[test]
fn the_help_of_rotate_key_teaches_it() {
    help("rotate-key", expect_file!["help/rotate-key.txt"]);
}

#[test]
fn the_help_of_state_teaches_it() {
    help("state", expect_file!["help/state.txt"]);
}

#[test]
fn the_help_of_setup_sql_teaches_it() {
    help("setup-sql", expect_file!["help/setup-sql.txt"]);
}

#[test]
fn the_help_of_check_teaches_it() {
    help("check", expect_file!["help/check.txt"]);
}

#[test]
fn the_help_of_plan_teaches_it() {
    help("plan", expect_file!["help/plan.txt"]);
}

#[test]
fn the_help_of_push_teaches_it() {
    help("push", expect_file!["help/push.txt"]);
}

#[test]
fn the_help_of_maintain_teaches_it() {
    help("maintain", expect_file!["help/maintain.txt"]);
}

#[test]
fn the_help_of_query_teaches_it() {
    help("query", expect_file!["help/query.txt"]);
}

#[test]
fn the_help_of_compare_teaches_it() {
    help("compare", expect_file!["help/compare.txt"]);
}

#[test]
fn the_help_of_discover_teaches_it() {
    help("discover", expect_file!["help/discover.txt"]);
}

#[test]
fn the_help_of_pull_teaches_it() {
    help("pull", expect_file!["help/pull.txt"]);
}

#[test]
fn the_help_of_status_teaches_it() {
    help("status", expect_file!["help/status.txt"]);
}

#[test]
fn the_help_of_runs_teaches_it() {
    help("runs", expect_file!["help/runs.txt"]);
}

#[test]
fn the_help_of_run_teaches_it() {
    help("run", expect_file!["help/run.txt"]);
}

#[test]
fn the_help_of_reset_teaches_it() {
    help("reset", expect_file!["help/reset.txt"]);
}

#[test]
fn the_help_of_run_show_teaches_it() {
    help("run show", expect_file!["help/run_show.txt"]);
}
