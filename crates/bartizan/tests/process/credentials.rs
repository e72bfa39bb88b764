//! Credentials and sign-ins at the command line: secrets are not lost, nor shown around, and nobody is taken for another.

use crate::served::Served;

/// Names of people who came from a provider hold what ends a path in an address.
#[test]
fn a_name_with_a_mark_in_it_is_not_the_name_before_it() {
    let served = Served::start();
    served.good(&["ad", "user", "create", "--upn", "ann@corp.example", "--display-name", "Ann"]);
    for name in ["ann@corp.example#corp", "ann@corp.example?corp", "ann@corp.example%23"] {
        let commands: [&[&str]; 4] = [
            &["ad", "sign-in", "reset-mfa", name],
            &["ad", "sign-in", "sessions", name],
            &["ad", "sign-in", "end", name, "6f9619ff-8b86-d011-b42d-00c04fc964ff"],
            &["ad", "sign-in", "list", "--user", name],
        ];
        for command in commands {
            let told = served.bad(command);
            assert!(told.contains("was not found"), "{command:?}: {told}");
        }
    }
    assert!(served.bad(&["ad", "sign-in", "reset-mfa", "ann@corp.example/.."]).contains("neither an object id nor"));
    for session in ["..", "x/../y", "6f9619ff-8b86-d011-b42d-00c04fc964ff/.."] {
        let told = served.bad(&["ad", "sign-in", "end", "ann@corp.example", session]);
        assert!(told.contains("is not the id of a session"), "{session}: {told}");
    }
    served.good(&["ad", "sign-in", "reset-mfa", "ann@corp.example"]);
    served.good(&["ad", "sign-in", "sessions", "ANN@corp.example"]);
}
