//! Which accounts and base URLs are taken, and to which hosts they lead.

use super::*;

#[test]
fn twenty_five_good_accounts_lead_to_their_hosts() {
    for (text, host, name) in [
        ("myorg-acme", "myorg-acme", "MYORG-ACME"),
        ("MyOrg-Acme", "myorg-acme", "MYORG-ACME"),
        ("myorg-my_acme", "myorg-my-acme", "MYORG-MY_ACME"),
        ("xy12345", "xy12345", "XY12345"),
        ("XY12345", "xy12345", "XY12345"),
        ("a", "a", "A"),
        ("ab1.us-east-1", "ab1.us-east-1", "AB1"),
        ("ab1.us-east-2.aws", "ab1.us-east-2.aws", "AB1"),
        ("ab1.eu-central-1", "ab1.eu-central-1", "AB1"),
        ("ab1.eu-west-2.aws", "ab1.eu-west-2.aws", "AB1"),
        ("ab1.ap-southeast-2", "ab1.ap-southeast-2", "AB1"),
        ("ab1.ca-central-1.aws", "ab1.ca-central-1.aws", "AB1"),
        ("ab1.west-europe.azure", "ab1.west-europe.azure", "AB1"),
        ("ab1.east-us-2.azure", "ab1.east-us-2.azure", "AB1"),
        ("ab1.us-central1.gcp", "ab1.us-central1.gcp", "AB1"),
        ("ab1.EU-Central-1.AWS", "ab1.eu-central-1.aws", "AB1"),
        ("ab1.us-gov-west-1.aws", "ab1.us-gov-west-1.aws", "AB1"),
        ("ab1.global", "ab1.global", "AB1"),
        ("myorg-acme.privatelink", "myorg-acme.privatelink", "MYORG-ACME"),
        ("ab1.us-east-1.privatelink", "ab1.us-east-1.privatelink", "AB1"),
        ("ab1.west-europe.azure.privatelink", "ab1.west-europe.azure.privatelink", "AB1"),
        ("o-a_b_c", "o-a-b-c", "O-A_B_C"),
    ] {
        let account: Account = text.parse().unwrap();
        assert_eq!(account.host(), format!("{host}.snowflakecomputing.com"), "{text}");
        assert_eq!(account.name(), name, "{text}");
        assert_eq!(Endpoint::of(&account).unwrap().host(), account.host());
    }
    for (text, host) in [
        ("ab1.cn-northwest-1.aws", "ab1.cn-northwest-1.aws"),
        ("ab1.cn-northwest-1", "ab1.cn-northwest-1"),
        ("myorg-acme.cn", "myorg-acme"),
    ] {
        let account: Account = text.parse().unwrap();
        assert_eq!(account.host(), format!("{host}.snowflakecomputing.cn"), "{text}");
    }
}

#[test]
fn one_hundred_and_twenty_hostile_accounts_are_refused() {
    let long = "a".repeat(64);
    let longer = "ab.".repeat(90);
    let hostile = [
        "",
        " ",
        ".",
        "..",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "_a",
        "a_",
        "a b",
        "a\tb",
        "a\nb",
        "a\0",
        "a/b",
        "a\\b",
        "a:443",
        "a?b",
        "a#b",
        "a@b",
        "a%2e",
        "a%00",
        "a;b",
        "a,b",
        "a'b",
        "a\"b",
        "a<b",
        "a>b",
        "a|b",
        "a&b",
        "a=b",
        "a+b",
        "a*b",
        "a!b",
        "a$b",
        "a(b)",
        "a[b]",
        "a{b}",
        "a^b",
        "a`b",
        "a~b",
        "ä",
        "münchen-acme",
        "аcme",
        "a\u{200b}b",
        "a\u{202e}b",
        "xn--acme-1234",
        "evilsnowflakecomputing.com",
        "a.snowflakecomputing.com",
        "a#.snowflakecomputing.com",
        "a/x.snowflakecomputing.com",
        "a:443/?a=.snowflakecomputing.com",
        "user@169.254.169.254/.snowflakecomputing.com",
        "https://a.snowflakecomputing.com",
        "http://127.0.0.1",
        "//evil.com",
        "evil.com",
        "evil.com.",
        "acme.evil.com",
        "acme.us-east-1.evil",
        "acme.us-east-1.aws.evil.com",
        "127.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "1",
        "2130706433",
        "0x7f000001.1",
        "::1",
        "[::1]",
        "localhost",
        "localhost.us-east-1",
        "privatelink",
        "privatelink.privatelink",
        "acme.internal",
        "acme.local",
        "metadata.google.internal",
        "acme.us_east_1",
        "acme.us-east-1.oracle",
        "acme.privatelink.evil",
        "acme.com",
        "acme.cn.com",
        "a\r\nHost: evil",
        "acme.US EAST",
        "a.b.c.d",
        "acme..us-east-1",
        "acme.us-east-1.",
        ".us-east-1",
        "acme.-us-east-1",
        "acme.us-east-1-",
        "acme.us-east-1.aws.",
        "acme.us-east-1.aws.privatelink.x",
        "acme.privatelink.privatelink",
        "acme.cn.cn",
        "acme.privatelink.cn.com",
        "org-acme.privatelink.evil.example",
        "acme.snowflakecomputing",
        "acme.snowflakecomputing.cn",
        "snowflakecomputing",
        "SNOWFLAKECOMPUTING.COM",
        "acme.SnowflakeComputing.Com",
        "ftp://acme",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "acme?account=evil",
        "acme#frag",
        "acme@evil.example",
        "user:pw@acme",
        "acme:80",
        "acme/..",
        "../acme",
        "..\\acme",
        "acme/%2e%2e",
        "acme%0d%0aHost:x",
        "acme\u{3002}us-east-1",
        "acme\u{ff0e}us-east-1",
        "acme\u{2024}com",
        "acme\u{ad}",
        "\u{feff}acme",
        "acme ",
        "\tacme",
        "acme\u{a0}",
        "0",
        "017700000001",
        "0x7f000001",
        "1.1.1.1",
        "192.168.0.1",
        "256.256.256.256",
        "[fe80::1%25eth0]",
        "LOCALHOST",
        "localhost.localdomain",
        "Localhost.us-east-1.aws",
        "PRIVATELINK.us-east-1",
        "XN--acme-1234",
        "xn--80ak6aa92e.us-east-1",
        "acme.us-east-1.AWS2",
        "acme.us-east-1.gcp.azure",
        "acme.global.aws.x",
        "acme.${jndi:ldap}",
        "{{account}}",
        "$(id)",
        "`id`",
        "acme|id",
        "acme;id",
        "acme&&id",
        "acme\u{0}.us-east-1",
        "acme\u{7f}",
        "acme--",
        "--acme",
        "acme-_",
        "_-acme",
    ];
    assert!(hostile.len() >= 120, "{}", hostile.len());
    let refused = hostile.iter().copied().chain([long.as_str(), longer.as_str()]);
    for text in refused {
        let parsed = text.parse::<Account>();
        assert!(matches!(parsed, Err(SnowflakeError::Request { .. })), "{text:?} gave {parsed:?}");
    }
}

#[test]
fn a_base_url_is_plain_and_no_look_alike() {
    for good in [
        "http://127.0.0.1:8080",
        "http://127.0.0.1:8080/",
        "http://localhost:1",
        "http://[::1]:9000",
        "https://snow.private.example",
        "https://10.1.2.3:8443",
    ] {
        assert!(Endpoint::override_with(good).unwrap().is_override(), "{good}");
    }
    for bad in [
        "",
        "127.0.0.1:80",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "http://example.com",
        "http://10.0.0.1",
        "https://a.snowflakecomputing.com",
        "https://evilsnowflakecomputing.com",
        "https://snowflakecomputing.com.evil.example",
        "https://user@host.example",
        "https://user:pw@host.example",
        "https://@host.example",
        "https://host.example/path",
        "https://host.example/?q",
        "https://host.example/#f",
        "https://169.254.169.254",
        "https://[fe80::1]",
        "https://[::ffff:169.254.169.254]",
        "https://0.0.0.0",
        "https://[::]",
        "https://224.0.0.1",
        "https://sn\u{43e}wflake.example",
        "https://xn--snwflake-abc.example",
        "https://host.example\\@evil.example",
        "https://host%2eexample",
        "http://127.0.0.1.evil.example",
        "https://SNOWFLAKEcomputing.com",
        "https:// host.example",
    ] {
        let parsed = Endpoint::override_with(bad);
        assert!(matches!(parsed, Err(SnowflakeError::Request { .. })), "{bad:?} gave {parsed:?}");
    }
}

#[test]
fn chunk_links_lead_to_result_storage_only() {
    let own = Endpoint::of(&"myorg-acme".parse().unwrap()).unwrap();
    for good in [
        "https://sfc-ds1-customer-stage.s3.us-west-2.amazonaws.com/results/1?X-Amz-Signature=x",
        "https://x.blob.core.windows.net/results/1?sig=x",
        "https://storage.googleapis.com/results/1?X-Goog-Signature=x",
    ] {
        assert!(own.storage_url("fetch", good).is_ok(), "{good}");
    }
    for bad in [
        "http://x.s3.amazonaws.com/1",
        "https://evil.example/1",
        "https://127.0.0.1/1",
        "nonsense",
        "https://amazonaws.com.evil.example/1",
        "https://u:p@x.s3.amazonaws.com/1",
        "https://169.254.169.254/latest",
        "https://evilamazonaws.com/1",
    ] {
        let refused = own.storage_url("fetch", bad).unwrap_err();
        assert!(!refused.to_string().contains("evil"), "{bad}");
    }
    let local = Endpoint::override_with("http://127.0.0.1:9").unwrap();
    assert!(local.storage_url("fetch", "http://127.0.0.1:10/chunks/1").is_ok());
    assert!(local.storage_url("fetch", "http://10.0.0.1/chunks/1").is_err());
}
