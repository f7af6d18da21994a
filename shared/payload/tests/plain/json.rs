//! JSON (RFC 8259), as far as places in a body need it. Numbers keep their text.

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Word(String),
    Number(String),
    /// Nothing where an escape in it stands for no character.
    Text(Option<String>),
    Array(Vec<Json>),
    Object(Vec<(Option<String>, Json)>),
}

impl Json {
    /// The value at a JSON Pointer (RFC 6901).
    pub fn at(&self, pointer: &str) -> Option<&Json> {
        let mut value = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            value = match value {
                Json::Object(members) => {
                    let found = members.iter().rev().find(|(name, _)| name.as_ref() == Some(&token));
                    &found?.1
                }
                Json::Array(elements) => {
                    let index: usize = token.parse().ok()?;
                    if index.to_string() != token {
                        return None;
                    }
                    elements.get(index)?
                }
                _ => return None,
            };
        }
        Some(value)
    }

    /// A string's content, or the text of a number or boolean.
    pub fn scalar(&self) -> Option<String> {
        match self {
            Json::Text(text) => text.clone(),
            Json::Number(text) => Some(text.clone()),
            Json::Word(word) if word != "null" => Some(word.clone()),
            _ => None,
        }
    }
}

/// Reads a whole text.
pub fn parse(bytes: &[u8]) -> Option<Json> {
    let mut reader = Reader {
        text: std::str::from_utf8(bytes).ok()?.chars().collect(),
        at: 0,
    };
    let value = reader.value()?;
    reader.space();
    if reader.at == reader.text.len() {
        Some(value)
    } else {
        None
    }
}

struct Reader {
    text: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: &str) -> Option<()> {
        for c in wanted.chars() {
            if self.peek()? != c {
                return None;
            }
            self.at += 1;
        }
        Some(())
    }

    fn value(&mut self) -> Option<Json> {
        self.space();
        match self.peek()? {
            '{' => self.object(),
            '[' => self.array(),
            '"' => Some(Json::Text(self.string()?)),
            '-' | '0'..='9' => self.number(),
            first => {
                let word = match first {
                    't' => "true",
                    'f' => "false",
                    _ => "null",
                };
                self.take(word)?;
                Some(Json::Word(word.to_string()))
            }
        }
    }

    fn object(&mut self) -> Option<Json> {
        self.take("{")?;
        let mut members = Vec::new();
        self.space();
        if self.take("}").is_some() {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.take(":")?;
            members.push((name, self.value()?));
            self.space();
            if self.take("}").is_some() {
                return Some(Json::Object(members));
            }
            self.take(",")?;
        }
    }

    fn array(&mut self) -> Option<Json> {
        self.take("[")?;
        let mut elements = Vec::new();
        self.space();
        if self.take("]").is_some() {
            return Some(Json::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            self.space();
            if self.take("]").is_some() {
                return Some(Json::Array(elements));
            }
            self.take(",")?;
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some('0'..='9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Option<Json> {
        let start = self.at;
        let _ = self.take("-");
        if self.take("0").is_none() && self.digits() == 0 {
            return None;
        }
        if self.take(".").is_some() && self.digits() == 0 {
            return None;
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            self.at += 1;
            if matches!(self.peek(), Some('+' | '-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return None;
            }
        }
        Some(Json::Number(self.text[start..self.at].iter().collect()))
    }

    /// Outside: whether it is a string at all. Inside: its content, where it has one.
    fn string(&mut self) -> Option<Option<String>> {
        self.take("\"")?;
        let mut units: Vec<u16> = Vec::new();
        loop {
            let c = self.peek()?;
            self.at += 1;
            let plain = match c {
                '"' => return Some(String::from_utf16(&units).ok()),
                '\0'..='\u{1f}' => return None,
                '\\' => {
                    let escape = self.peek()?;
                    self.at += 1;
                    match escape {
                        '"' | '\\' | '/' => escape,
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'u' => {
                            let digits: String = self.text.get(self.at..self.at + 4)?.iter().collect();
                            if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
                                return None;
                            }
                            self.at += 4;
                            units.push(u16::from_str_radix(&digits, 16).ok()?);
                            continue;
                        }
                        _ => return None,
                    }
                }
                c => c,
            };
            units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
        }
    }
}
