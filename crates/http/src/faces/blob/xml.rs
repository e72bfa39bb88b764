//! XML, as little of it as the service speaks: elements and text.

use kernel::Result;
use quick_xml::{Reader, events::Event};

use domain::storage::invalid;

/// Elements within one another, at most.
const DEEPEST: usize = 8;
/// Elements of a small document, its root counted.
pub(super) const FEW: usize = 256;

/// A document in the making.
pub(super) struct Xml {
    text: String,
    open: Vec<&'static str>,
}

impl Xml {
    /// A document with this root.
    pub(super) fn begin(root: &'static str) -> Self {
        let mut xml = Self { text: String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>"), open: Vec::new() };
        xml.open(root);
        xml
    }

    /// The same with attributes.
    pub(super) fn begin_with(root: &'static str, attributes: &[(&str, &str)]) -> Self {
        let mut xml = Self { text: String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>"), open: vec![root] };
        xml.text.push('<');
        xml.text.push_str(root);
        for (name, value) in attributes {
            xml.text.push(' ');
            xml.text.push_str(name);
            xml.text.push_str("=\"");
            xml.escape(value);
            xml.text.push('"');
        }
        xml.text.push('>');
        xml
    }

    /// Opens an element.
    pub(super) fn open(&mut self, name: &'static str) {
        self.text.push('<');
        self.text.push_str(name);
        self.text.push('>');
        self.open.push(name);
    }

    /// Closes the element that was opened last.
    pub(super) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.text.push_str("</");
            self.text.push_str(name);
            self.text.push('>');
        }
    }

    /// An element with text. The name is a word of ours, or one that was checked to be a name.
    pub(super) fn leaf(&mut self, name: &str, text: &str) {
        if text.is_empty() {
            self.text.push('<');
            self.text.push_str(name);
            self.text.push_str(" />");
            return;
        }
        self.text.push('<');
        self.text.push_str(name);
        self.text.push('>');
        self.escape(text);
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// The same, where there is a text.
    pub(super) fn leaf_if(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.leaf(name, text);
        }
    }

    fn escape(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '&' => self.text.push_str("&amp;"),
                '"' => self.text.push_str("&quot;"),
                c if c.is_control() && c != '\n' && c != '\t' => self.text.push('\u{fffd}'),
                c => self.text.push(c),
            }
        }
    }

    /// The document, with everything closed.
    pub(super) fn end(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }
}

/// An element that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub name: String,
    pub text: String,
    pub children: Vec<Node>,
}

impl Node {
    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name; empty when there is none.
    pub(super) fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.trim())
    }
}

fn malformed() -> kernel::Error {
    invalid("InvalidXmlDocument", "The specified XML is not syntactically valid.")
}

/// Reads a document with this root and at most so many elements. No document types, no entities but XML's own.
pub(super) fn read(bytes: &[u8], root: &str, most: usize) -> Result<Node> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().check_end_names = true;
    let mut open: Vec<Node> = Vec::new();
    let mut whole = None;
    let mut count = 0_usize;
    loop {
        let event = reader.read_event().map_err(|_| malformed())?;
        // While it is read: an element of four bytes takes a hundred in memory.
        if matches!(event, Event::Start(_) | Event::Empty(_)) {
            count = count.saturating_add(1);
        }
        if count > most {
            return Err(malformed());
        }
        match event {
            Event::Start(start) if whole.is_none() && open.len() < DEEPEST => {
                open.push(Node { name: name_of(start.name().as_ref())?, ..Node::default() });
            }
            Event::Empty(start) if whole.is_none() && open.len() < DEEPEST => {
                let node = Node { name: name_of(start.name().as_ref())?, ..Node::default() };
                place(&mut open, &mut whole, node);
            }
            Event::End(_) => {
                let node = open.pop().ok_or_else(malformed)?;
                place(&mut open, &mut whole, node);
            }
            Event::Text(words) => {
                let words = words.decode().map_err(|_| malformed())?;
                match open.last_mut() {
                    Some(node) => node.text.push_str(&words),
                    None if words.trim().is_empty() => {}
                    None => return Err(malformed()),
                }
            }
            Event::GeneralRef(reference) => {
                let known = match reference.resolve_char_ref().map_err(|_| malformed())? {
                    Some(character) => Some(character),
                    None => match &*reference.decode().map_err(|_| malformed())? {
                        "lt" => Some('<'),
                        "gt" => Some('>'),
                        "amp" => Some('&'),
                        "quot" => Some('"'),
                        "apos" => Some('\''),
                        _ => None,
                    },
                };
                open.last_mut().ok_or_else(malformed)?.text.push(known.ok_or_else(malformed)?);
            }
            Event::Decl(_) | Event::Comment(_) => {}
            Event::Eof => break,
            Event::Start(_) | Event::Empty(_) | Event::CData(_) | Event::PI(_) | Event::DocType(_) => {
                return Err(malformed());
            }
        }
    }
    whole.filter(|node: &Node| node.name == root && open.is_empty()).ok_or_else(malformed)
}

fn name_of(bytes: &[u8]) -> Result<String> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| malformed())
}

fn place(open: &mut [Node], whole: &mut Option<Node>, node: Node) {
    match open.last_mut() {
        Some(parent) => parent.children.push(node),
        None => *whole = Some(node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut xml = Xml::begin("A");
        xml.leaf("B", "<a>&\"b\" ü");
        xml.leaf("C", "");
        let text = xml.end();
        let node = read(text.as_bytes(), "A", FEW).unwrap();
        assert_eq!((node.text_of("B"), node.text_of("C")), ("<a>&\"b\" ü", ""));
    }

    #[test]
    fn tricks_of_xml_are_refused() {
        let deep = format!("{}{}", "<A>".repeat(9), "</A>".repeat(9));
        for text in [
            "",
            "<A>",
            "<A></B>",
            "<B/>",
            "<A/><A/>",
            "<A/>x",
            "<!DOCTYPE A [<!ENTITY x \"y\">]><A>&x;</A>",
            "<A>&x;</A>",
            "<A><![CDATA[x]]></A>",
            &deep,
        ] {
            assert_eq!(read(text.as_bytes(), "A", FEW).unwrap_err().code(), Some("InvalidXmlDocument"), "{text}");
        }
        assert!(read(b"\xff<A/>", "A", FEW).is_err());
    }

    #[test]
    fn a_document_has_no_more_elements_than_are_wanted() {
        let text = |count: usize| format!("<A>{}</A>", "<B/>".repeat(count));
        assert_eq!(read(text(9).as_bytes(), "A", 10).unwrap().children.len(), 9);
        assert_eq!(read(text(10).as_bytes(), "A", 10).unwrap_err().code(), Some("InvalidXmlDocument"));
    }
}
