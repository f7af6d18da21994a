//! Bytes as text.

pub const STANDARD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
pub const FOR_URLS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits?;
    if digits.len() % 2 == 1 {
        return None;
    }
    Some(
        digits
            .chunks(2)
            .map(|two| u8::try_from(two[0] * 16 + two[1]).unwrap())
            .collect(),
    )
}

/// Base64 with padding.
pub fn to_base64(bytes: &[u8], alphabet: &str) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits: String = three.iter().map(|byte| format!("{byte:08b}")).collect();
        for at in 0..4 {
            match bits.get(at * 6..) {
                Some(rest) if !rest.is_empty() => {
                    let six: String = rest.chars().chain("00000".chars()).take(6).collect();
                    text.push(char::from(alphabet.as_bytes()[usize::from_str_radix(&six, 2).unwrap()]));
                }
                _ => text.push('='),
            }
        }
    }
    text
}

/// What gives exactly this text when it is encoded, with padding or, if that may be left out, without.
pub fn from_base64(text: &str, alphabet: &str, padding_may_be_left_out: bool) -> Option<Vec<u8>> {
    let mut bits = String::new();
    for c in text.trim_end_matches('=').chars() {
        bits += &format!("{:06b}", alphabet.find(c)?);
    }
    let bytes: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|eight| u8::from_str_radix(std::str::from_utf8(eight).unwrap(), 2).unwrap())
        .collect();
    let padded = to_base64(&bytes, alphabet);
    let bare = padding_may_be_left_out && text == padded.trim_end_matches('=');
    if text == padded || bare { Some(bytes) } else { None }
}

/// The bytes of a signature, written in one of the scheme's encodings.
pub fn decode(text: &str, encoding: &str) -> Option<Vec<u8>> {
    match encoding {
        "hex" => from_hex(text),
        "base64" => from_base64(text, STANDARD, false),
        _ => from_base64(text, FOR_URLS, true),
    }
}

pub fn encode(bytes: &[u8], encoding: &str) -> String {
    match encoding {
        "hex" => to_hex(bytes),
        "base64" => to_base64(bytes, STANDARD),
        _ => to_base64(bytes, FOR_URLS),
    }
}

/// A name or value of a query, decoded.
pub fn from_form(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).and_then(from_hex);
        match (bytes[at], code) {
            (b'%', Some(code)) => {
                decoded.extend(code);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    decoded
}
