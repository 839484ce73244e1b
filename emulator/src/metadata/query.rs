//! The query of a request: `$select`, `$filter` and `$expand` with options of its own.

use percent_encoding::percent_decode_str;

use super::filter::Filter;
use super::refusal::Refusal;

/// Definitions are at most a few links deep; a deeper request is a mistake.
const DEEPEST_EXPAND: usize = 8;

/// What a request, or one of its expansions, asks for.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// The properties; all of them if absent.
    pub(super) select: Option<Vec<String>>,
    pub(super) filter: Option<Filter>,
    pub(super) expand: Vec<Expand>,
    /// Whether the answer tells how many definitions there are.
    pub(super) wants_count: bool,
}

/// `Attributes($select=LogicalName)`
#[derive(Debug)]
pub(super) struct Expand {
    pub(super) link: String,
    pub(super) options: Options,
}

impl Options {
    /// Reads a raw query.
    pub(super) fn parse(query: &str) -> Result<Self, Refusal> {
        let mut options = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.set(&decoded(name)?, &decoded(value)?, 0)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str, depth: usize) -> Result<(), Refusal> {
        let twice = || {
            Err(Refusal::syntax(format!(
                "Query option '{name}' was specified more than once, but it must be specified at most once."
            )))
        };
        match name.trim() {
            "$select" if self.select.is_some() => twice(),
            "$filter" if self.filter.is_some() => twice(),
            "$expand" if !self.expand.is_empty() => twice(),
            "$select" => {
                self.select = Some(names(value)?);
                Ok(())
            }
            "$filter" => {
                self.filter = Some(Filter::parse(value)?);
                Ok(())
            }
            "$expand" => {
                self.expand = split(value, ',')?
                    .into_iter()
                    .map(|item| Expand::parse(item, depth))
                    .collect::<Result<_, _>>()?;
                Ok(())
            }
            "$count" if depth == 0 => match value.trim() {
                "true" => {
                    self.wants_count = true;
                    Ok(())
                }
                "false" => Ok(()),
                other => Err(Refusal::syntax(format!(
                    "Invalid value '{other}' for $count query option found."
                ))),
            },
            // A word for plug-ins; it changes nothing else.
            "tag" if depth == 0 => Ok(()),
            other => Err(Refusal::option(other)),
        }
    }

    /// How the context describes what was chosen: `(LogicalName,OptionSet(Options))`.
    pub(super) fn described(&self) -> String {
        let selected = self.select.iter().flatten().cloned();
        let expanded = self
            .expand
            .iter()
            .map(|item| match item.options.described() {
                chosen if chosen.is_empty() => format!("{}()", item.link),
                chosen => format!("{}{chosen}", item.link),
            });
        let chosen: Vec<String> = selected.chain(expanded).collect();
        if chosen.is_empty() {
            String::new()
        } else {
            format!("({})", chosen.join(","))
        }
    }
}

impl Expand {
    fn parse(text: &str, depth: usize) -> Result<Self, Refusal> {
        if depth >= DEEPEST_EXPAND {
            return Err(Refusal::syntax(
                "The request includes a $expand path which is too deep.",
            ));
        }
        let mut options = Options::default();
        let link = match text.split_once('(') {
            None => text,
            Some((link, rest)) => {
                let inner = rest.trim_end().strip_suffix(')').ok_or_else(unbalanced)?;
                for option in split(inner, ';')? {
                    let (name, value) = option.split_once('=').unwrap_or((option, ""));
                    options.set(name, value, depth + 1)?;
                }
                link
            }
        };
        Ok(Self {
            link: link.trim().to_owned(),
            options,
        })
    }
}

fn decoded(raw: &str) -> Result<String, Refusal> {
    // In a query, a plus sign is a blank.
    let spaced = raw.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Refusal::syntax("Bad Request - Error in query syntax.")),
    }
}

fn names(text: &str) -> Result<Vec<String>, Refusal> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(Refusal::syntax(
            "Term is missing in the $select expression.",
        ));
    }
    Ok(names)
}

/// Splits at a separator that stands neither in parentheses nor in quotes.
fn split(text: &str, separator: char) -> Result<Vec<&str>, Refusal> {
    let mut depth = 0_u32;
    let mut is_quoted = false;
    let mut parts = Vec::new();
    let mut rest = text;
    let mut from = 0;
    for (at, c) in text.char_indices() {
        match c {
            '\'' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or_else(unbalanced)?,
            c if c == separator && depth == 0 => {
                let Some((part, after)) = rest.split_at_checked(at - from) else {
                    continue;
                };
                parts.push(part.trim());
                rest = after.strip_prefix(separator).unwrap_or(after);
                from = text.len() - rest.len();
            }
            _ => {}
        }
    }
    parts.push(rest.trim());
    if depth > 0 || is_quoted {
        return Err(unbalanced());
    }
    if parts.iter().any(|part| part.is_empty()) {
        return Err(Refusal::syntax(
            "Term is missing in the $expand expression.",
        ));
    }
    Ok(parts)
}

fn unbalanced() -> Refusal {
    Refusal::syntax("Found an unbalanced bracket expression.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansions_have_options_of_their_own() {
        let query = "$select=LogicalName,%20SchemaName&$expand=Attributes($select=A,B;\
                     $filter=LogicalName eq 'a;b,(c'),Keys";
        let options = Options::parse(query).unwrap();
        assert_eq!(
            options.select.as_deref().unwrap(),
            ["LogicalName", "SchemaName"]
        );
        let [attributes, keys] = options.expand.as_slice() else {
            panic!("two expansions")
        };
        assert_eq!(attributes.link, "Attributes");
        assert_eq!(attributes.options.select.as_deref().unwrap(), ["A", "B"]);
        assert!(attributes.options.filter.is_some());
        assert_eq!(keys.link, "Keys");
        assert_eq!(
            options.described(),
            "(LogicalName,SchemaName,Attributes(A,B),Keys())"
        );
    }

    #[test]
    fn a_plus_sign_is_a_blank() {
        let options = Options::parse("%24filter=LogicalName+eq+'a'").unwrap();
        assert!(options.filter.is_some());
    }

    #[test]
    fn other_options_are_refused() {
        for query in [
            "$top=1",
            "$orderby=LogicalName",
            "$count=maybe",
            "$expand=Attributes($count=true)",
            "$skip=1",
            "select=A",
            "$expand=Attributes($top=1)",
            "$select=A&$select=B",
            "$select=",
            "$select=A,,B",
            "$expand=Attributes(",
            "$expand=Attributes)",
            "$expand=Attributes,,Keys",
            "$filter='",
            "$select=%FF",
        ] {
            assert!(Options::parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_bottomless_expansion_is_refused() {
        let query = format!("$expand={}{}", "A($expand=".repeat(5000), ")".repeat(5000));
        assert!(Options::parse(&query).is_err());
    }
}
