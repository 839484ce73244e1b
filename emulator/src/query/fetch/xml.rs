//! As much XML as `FetchXML` needs: elements, attributes, text and the five entities.

/// Elements may stand in each other only so deep.
const DEEPEST: usize = 32;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    pub(super) text: String,
}

impl Element {
    /// Reads a document of one element; `None` if it is not well formed.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        reader.skip_misc();
        let element = reader.element(0)?;
        reader.skip_misc();
        reader.rest.is_empty().then_some(element)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether an attribute says so.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Blanks, comments and declarations.
    fn skip_misc(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let end = if self.rest.starts_with("<?") {
                "?>"
            } else if self.rest.starts_with("<!--") {
                "-->"
            } else {
                return;
            };
            let Some((_, after)) = self.rest.split_once(end) else {
                return;
            };
            self.rest = after;
        }
    }

    fn symbol(&mut self, symbol: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(symbol)?;
        Some(())
    }

    fn name(&mut self) -> Option<&'a str> {
        let is_part = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    fn element(&mut self, depth: usize) -> Option<Element> {
        if depth > DEEPEST {
            return None;
        }
        self.symbol("<")?;
        let mut element = Element {
            name: self.name()?.to_owned(),
            ..Element::default()
        };
        loop {
            self.rest = self.rest.trim_start();
            if self.symbol("/>").is_some() {
                return Some(element);
            }
            if self.symbol(">").is_some() {
                break;
            }
            let attribute = self.attribute()?;
            if element.get(&attribute.0).is_some() {
                return None;
            }
            element.attributes.push(attribute);
        }
        loop {
            let (text, rest) = self.rest.split_at_checked(self.rest.find('<')?)?;
            element.text.push_str(&decoded(text.trim())?);
            self.rest = rest;
            if self.rest.starts_with("<!--") {
                self.rest = self.rest.split_once("-->")?.1;
            } else if self.symbol("</").is_some() {
                let is_own = self.name()? == element.name;
                self.rest = self.rest.trim_start();
                self.symbol(">")?;
                return is_own.then_some(element);
            } else {
                element.children.push(self.element(depth + 1)?);
            }
        }
    }

    fn attribute(&mut self) -> Option<(String, String)> {
        let name = self.name()?;
        self.rest = self.rest.trim_start();
        self.symbol("=")?;
        self.rest = self.rest.trim_start();
        let quote = self
            .rest
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\''))?;
        let (value, rest) = self.rest.get(1..)?.split_once(quote)?;
        self.rest = rest;
        if value.contains('<') {
            return None;
        }
        Some((name.to_owned(), decoded(value)?))
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        let (entity, after) = after.split_once(';')?;
        decoded.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let number = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(number)?
            }
        });
        rest = after;
    }
    decoded.push_str(rest);
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_attributes_text_and_entities_are_read() {
        let text = "<?xml version=\"1.0\"?><!-- x --><fetch top='3'>\n <a b=\"&lt;&#65;\"/>\
                    <value> 1 &amp; 2 </value><!-- y --></fetch>";
        let fetch = Element::read(text).unwrap();
        assert_eq!(
            (fetch.name.as_str(), fetch.get("top")),
            ("fetch", Some("3"))
        );
        assert_eq!(fetch.children[0].get("b"), Some("<A"));
        assert_eq!(fetch.children[1].text, "1 & 2");
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        let deep = "<a>".repeat(50) + &"</a>".repeat(50);
        for text in [
            "",
            "<a>",
            "<a></b>",
            "<a b=1/>",
            "<a b='1' b='2'/>",
            "<a/><b/>",
            "<a>&no;</a>",
            "x",
            &deep,
        ] {
            assert_eq!(Element::read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[<>/a='\"&;! -]{0,40}") {
            let _read = Element::read(&text);
        }
    }
}
