//! What a file is told to be, by its name: only types that no browser runs.

/// By ending, in lower case.
const KNOWN: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("bmp", "image/bmp"),
    ("wav", "audio/wav"),
    ("mp3", "audio/mpeg"),
    ("flac", "audio/flac"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("json", "application/json"),
    ("csv", "text/csv; charset=utf-8"),
    ("parquet", "application/vnd.apache.parquet"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("tar", "application/x-tar"),
    ("avro", "application/avro"),
];
/// What people read, and what a browser would run if it was told what it is: all of it is shown as text.
const TEXT: &[&str] = &[
    "txt", "md", "rst", "log", "yaml", "yml", "toml", "ini", "cfg", "tsv", "py", "r", "sql", "sh", "html", "htm",
    "xhtml", "svg", "xml", "xsl", "js", "mjs", "css", "ts", "java", "rs", "go", "c", "ipynb",
];
/// Files of models that have no ending.
const NAMED: &[&str] = &["MLmodel", "MLproject", "Dockerfile"];

/// The type of a file of this name.
pub(super) fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let known = KNOWN.iter().find(|(known, _)| *known == ending).map(|(_, kind)| *kind);
    if let Some(kind) = known {
        return kind;
    }
    match TEXT.contains(&ending.as_str()) || NAMED.contains(&name) {
        true => "text/plain; charset=utf-8",
        false => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn nothing_is_told_to_be_what_a_browser_runs() {
        for name in ["x.html", "x.HTM", "x.svg", "x.xml", "x.xhtml", "x.js", "x.mjs", "x.css", "x.xsl", "a.png.svg"] {
            assert_eq!(media_type(name), "text/plain; charset=utf-8", "{name}");
        }
        for name in
            ["x.pdf", "x.swf", "x.wasm", "x.mht", "x.hta", "x", "x.", ".html/x", "x.pkl", "x.onnx", "x.exe", "x.svgz"]
        {
            assert_eq!(media_type(name), "application/octet-stream", "{name}");
        }
        assert_eq!((media_type("MLmodel"), media_type("plot.PNG")), ("text/plain; charset=utf-8", "image/png"));
    }
}
