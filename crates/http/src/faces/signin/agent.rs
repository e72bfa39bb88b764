//! What a browser calls itself, as people know it: `Firefox · Windows`.

/// Browsers by a word of theirs. Most claim to be others too, so the order matters.
const BROWSERS: [(&str, &str); 8] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];
const SYSTEMS: [(&str, &str); 7] = [
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];
/// What is shown of a program that is no known browser (characters).
const MOST: usize = 60;

/// A browser and its system, or the beginning of what a program calls itself. It is the program's own word: for people to
/// recognize their sessions by, and for nothing else.
pub(super) fn shown(agent: &str) -> String {
    let named =
        |names: &[(&str, &'static str)]| names.iter().find(|(word, _)| agent.contains(word)).map(|(_, name)| *name);
    match (named(&BROWSERS), named(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} · {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => agent.chars().take(MOST).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_called_what_people_call_them() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        let cases = [
            (format!("Mozilla/5.0 (X11; Linux x86_64) {webkit} Chrome/156.0.0.0 Safari/537.36"), "Chrome · Linux"),
            (format!("Mozilla/5.0 (Linux; Android 14) {webkit} Chrome/120.0 Mobile Safari/537.36"), "Chrome · Android"),
            (format!("Mozilla/5.0 (Windows NT 10.0) {webkit} Chrome/120.0 Safari/537.36 Edg/120.0"), "Edge · Windows"),
            (String::from("Mozilla/5.0 (Windows NT 10.0; rv:130.0) Gecko/20100101 Firefox/130.0"), "Firefox · Windows"),
            (
                String::from("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile Safari/604.1"),
                "Safari · iPhone",
            ),
            (String::from("curl/8.5.0"), "curl/8.5.0"),
            ("x".repeat(500), &"x".repeat(MOST)),
            (String::new(), ""),
        ];
        for (agent, name) in cases {
            assert_eq!(shown(&agent), name, "{agent}");
        }
    }
}
