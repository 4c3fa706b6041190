//! Samples to cut messages from, made here: each is of the same nature as the file of the Autobahn
//! test suite that it stands for, and the same at every run.

use std::sync::OnceLock;

/// The nature of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleKind {
    Json,
    Bitmap,
    Prose,
    Html,
    Pdf,
}

impl SampleKind {
    const ALL: [(&'static str, Self); 5] = [
        ("json", Self::Json),
        ("bitmap", Self::Bitmap),
        ("prose", Self::Prose),
        ("html", Self::Html),
        ("pdf", Self::Pdf),
    ];

    /// Returns the kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(other, _)| *other == name).map(|(_, kind)| kind)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Returns the sample, which is made when it is first asked for.
    pub(crate) fn sample(self) -> &'static Sample {
        static SAMPLES: [OnceLock<Sample>; 5] = [const { OnceLock::new() }; 5];
        SAMPLES[self as usize].get_or_init(|| Sample::new(self))
    }
}

/// Bytes and, where they are text, where its characters start.
pub(crate) struct Sample {
    bytes: Vec<u8>,
    /// Every character boundary including the end; empty where the bytes are no text.
    boundaries: Vec<usize>,
}

impl Sample {
    fn new(kind: SampleKind) -> Self {
        let mut random = Random::new(0x5eed_0000_0000_0001);
        let text = match kind {
            SampleKind::Json => json(&mut random),
            SampleKind::Prose => prose(&mut random, SIZE),
            SampleKind::Html => html(&mut random),
            SampleKind::Bitmap => return Self { bytes: bitmap(&mut random), boundaries: vec![] },
            SampleKind::Pdf => return Self { bytes: pdf(&mut random), boundaries: vec![] },
        };
        let boundaries = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        Self { bytes: text.into_bytes(), boundaries }
    }

    /// Returns the window of message `number`, `length` bytes or, for a text, characters wide. Each
    /// message starts a little behind the one before; at the end of the sample the window starts
    /// over.
    pub(crate) fn window(&self, number: usize, length: usize, text: bool) -> &[u8] {
        let units = if text { self.boundaries.len().saturating_sub(1) } else { self.bytes.len() };
        let start = number * 1009 % units.saturating_sub(length).max(1);
        let range = match (text, self.boundaries.get(start), self.boundaries.get(start + length)) {
            (false, ..) => start..start + length,
            (true, Some(from), Some(to)) => *from..*to,
            (true, ..) => 0..0,
        };
        self.bytes.get(range).unwrap_or_default()
    }
}

/// A generator of the xorshift kind: good enough for data, and always the same.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.index(words.len())]
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }
}

/// Records with the same keys and changing values.
fn json(random: &mut Random) -> String {
    let mut text = String::from("[\n");
    while text.len() < SIZE {
        let (name, city) = (random.pick(NOUNS), random.pick(CITIES));
        text.push_str(&format!(
            " {{\"id\": {}, \"name\": \"{name}\", \"address\": {{\"city\": \"{city}\", \"zip\": \
             \"{:05}\"}}, \"balance\": {}.{:02}, \"active\": {}, \"note\": \"{} {} {}\"}},\n",
            random.below(1 << 40),
            random.below(100_000),
            random.below(100_000),
            random.below(100),
            random.below(2) == 0,
            random.pick(NOUNS),
            random.pick(VERBS),
            random.pick(NOUNS),
        ));
    }
    text.push_str(" {}\n]\n");
    text
}

/// Rows of pixels, three bytes each: colours that change a little from one to the next with noise
/// in their low bits, and here and there a stretch that looks like the row above.
fn bitmap(random: &mut Random) -> Vec<u8> {
    let mut bytes = b"BM\x36\0\x0c\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bytes.resize(54 + ROW, 0xc0);
    let mut colours = [90_u8, 120, 160];
    while bytes.len() < SIZE {
        if random.below(16) == 0 {
            let above = bytes.len() - ROW;
            let width = 3 * (4 + random.byte() / 4);
            bytes.extend_from_within(above..above + usize::from(width));
        }
        for colour in &mut colours {
            *colour = colour.saturating_add(random.byte() % 9).saturating_sub(4);
            bytes.push(*colour);
        }
    }
    bytes
}

/// German verse with its umlauts: lines of a few words from a small vocabulary.
fn prose(random: &mut Random, size: usize) -> String {
    let mut text = String::new();
    while text.len() < size {
        for _ in 0..3 + random.below(4) {
            let (article, adjective) = (random.pick(ARTICLES), random.pick(ADJECTIVES));
            let (noun, verb) = (random.pick(NOUNS), random.pick(VERBS));
            text.push_str(&format!("{article} {adjective} {noun} {verb}{}", random.pick(STOPS)));
        }
        text.push_str("\r\n");
    }
    text
}

/// Tags with attributes around short runs of prose.
fn html(random: &mut Random) -> String {
    let mut text = String::from(
        "<!DOCTYPE html>\n<html lang=\"de\"><head><title>Über uns</title></head><body>\n",
    );
    while text.len() < SIZE {
        let (class, words) = (random.pick(TAGS), prose(random, 60));
        text.push_str(&format!(
            "<div class=\"{class}\" id=\"n{}\"><p>{}</p><a href=\"/{class}/{}.html\">mehr</a></div>\n",
            random.below(1 << 20),
            words.trim_end(),
            random.below(5000),
        ));
    }
    text.push_str("</body></html>\n");
    text
}

/// Objects in plain text between streams that no longer compress.
fn pdf(random: &mut Random) -> Vec<u8> {
    let mut bytes = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut object = 1;
    while bytes.len() < SIZE {
        let length = 512 + random.below(1536);
        let head = format!(
            "{object} 0 obj\n<< /Type /XObject /Filter /FlateDecode /Length {length} >>\nstream\n"
        );
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend((0..length).map(|_| random.byte()));
        bytes.extend_from_slice(b"\nendstream\nendobj\n");
        for _ in 0..random.below(30) {
            let line = format!("{:010} {:05} n \n", random.below(1 << 30), 0);
            bytes.extend_from_slice(line.as_bytes());
        }
        object += 1;
    }
    bytes
}

/// How many bytes a sample has at least: several of the longest messages, which have 131,072.
const SIZE: usize = 640 * 1024;

/// Bytes in a row of the bitmap, 512 pixels wide.
const ROW: usize = 3 * 512;

const ARTICLES: &[&str] = &["der", "die", "das", "ein", "kein", "mein", "jener"];
const ADJECTIVES: &[&str] =
    &["alte", "grüne", "stille", "frühe", "schöne", "kühle", "weiße", "letzte"];
const NOUNS: &[&str] =
    &["Lachs", "Fluß", "Mühle", "Brücke", "Wald", "Tür", "Stein", "Nebel", "Größe", "Ufer"];
const VERBS: &[&str] =
    &["steigt", "schläft", "hört", "wandert", "trägt", "ruht", "fällt", "springt"];
const STOPS: &[&str] = &[", ", ",\r\n", ".\r\n", "; ", "!\r\n"];
const CITIES: &[&str] = &["Köln", "Zürich", "Łódź", "Bergen", "東京", "Ålesund", "Porto"];
const TAGS: &[&str] = &["news", "teaser", "footer", "list", "aside", "card"];
