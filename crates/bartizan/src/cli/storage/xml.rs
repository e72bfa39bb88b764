//! Reading what the service answers: elements without attributes whose names are known.

/// The parts between `<name>` and `</name>`, in order. Names here never lie within one another.
pub(super) fn parts<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    text.split(&open).skip(1).filter_map(|part| part.split(&close).next()).collect()
}

/// The text of the first element of this name.
pub(super) fn leaf(text: &str, name: &str) -> Option<String> {
    parts(text, name).first().map(|text| unescaped(text))
}

fn unescaped(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    // Last: what was escaped twice is opened once.
    plain.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_read_and_opened_once() {
        let text = "<A><B>a&amp;lt;b</B><B>2</B><C /></A>";
        assert_eq!((leaf(text, "B").as_deref(), leaf(text, "C")), (Some("a&lt;b"), None));
        assert_eq!(parts(text, "B").len(), 2);
    }
}
