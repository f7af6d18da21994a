//! Bytes in an item, compressed with zstd (RFC 8878) where that is smaller: writes are billed by the kilobyte.

use std::cell::RefCell;
use std::thread::LocalKey;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zstd::bulk::{Compressor, Decompressor};

use crate::StoreError;

/// Bytes as they are stored: plain, or as one zstd frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Blob {
    /// The bytes themselves.
    #[serde(rename = "raw")]
    Raw(ByteBuf),
    /// A zstd frame of them.
    #[serde(rename = "zstd")]
    Zstd(ByteBuf),
    /// A zstd frame of them that can be read with [`WORDS`] only. An item that has one is of a schema version that says so.
    #[serde(rename = "words1")]
    Words(ByteBuf),
}

/// What events and the headers of requests are full of, as a dictionary of zstd's: a kilobyte of JSON says little else than which of these
/// it means, and each kilobyte written is paid for. The nearer to its end, the cheaper; so what each event has stands last.
///
/// It is part of what is stored: not a byte of it may ever change. Another one is another variant of [`Blob`], and another version.
const WORDS: &[u8] = include_bytes!("words.txt");

/// Below this a frame's own header eats what it saves.
const WORTH_COMPRESSING: usize = 64;

/// A stored frame may claim any size: what is larger than anything we store is not expanded.
const MAX_EXPANDED: usize = 2 * 1024 * 1024;

thread_local! {
    // A context costs more to set up than a small body to compress.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    static WORDS_COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static WORDS_DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A slot of this thread for what compresses.
type Packer = LocalKey<RefCell<Option<Compressor<'static>>>>;

/// A slot of this thread for what expands.
type Unpacker = LocalKey<RefCell<Option<Decompressor<'static>>>>;

/// zstd's own middle way between speed and size.
const LEVEL: i32 = 3;

/// Below this level zstd finds little of what it looks for in a dictionary.
const WORDS_LEVEL: i32 = 5;

impl Blob {
    /// Bytes of any kind.
    pub(crate) fn pack(bytes: &[u8]) -> Self {
        Self::smaller(bytes, &COMPRESSOR, || Compressor::new(LEVEL).ok(), Self::Zstd)
    }

    /// Bytes that are likely to be JSON of an event, or a request's headers.
    pub(crate) fn pack_words(bytes: &[u8]) -> Self {
        let begin = || Compressor::with_dictionary(WORDS_LEVEL, WORDS).ok();
        Self::smaller(bytes, &WORDS_COMPRESSOR, begin, Self::Words)
    }

    fn smaller(
        bytes: &[u8],
        packer: &'static Packer,
        begin: impl FnOnce() -> Option<Compressor<'static>>,
        packed: impl FnOnce(ByteBuf) -> Self,
    ) -> Self {
        if bytes.len() >= WORTH_COMPRESSING
            && let Some(frame) = compress(bytes, packer, begin).filter(|frame| frame.len() < bytes.len())
        {
            return packed(ByteBuf::from(frame));
        }
        Self::Raw(ByteBuf::from(bytes))
    }

    /// Whether only a reader that has the dictionary can read it.
    pub(crate) fn needs_words(&self) -> bool {
        matches!(self, Self::Words(_))
    }

    /// How many bytes it takes in the item.
    pub(crate) fn stored_len(&self) -> usize {
        match self {
            Self::Raw(bytes) | Self::Zstd(bytes) | Self::Words(bytes) => bytes.len(),
        }
    }

    pub(crate) fn unpack(self) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Raw(bytes) => Ok(bytes.into_vec()),
            Self::Zstd(frame) => expand(&frame, &DECOMPRESSOR, || Decompressor::new().ok()),
            Self::Words(frame) => expand(&frame, &WORDS_DECOMPRESSOR, || {
                Decompressor::with_dictionary(WORDS).ok()
            }),
        }
    }
}

fn compress(
    bytes: &[u8],
    packer: &'static Packer,
    begin: impl FnOnce() -> Option<Compressor<'static>>,
) -> Option<Vec<u8>> {
    packer.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = begin();
        }
        slot.as_mut()?.compress(bytes).ok()
    })
}

fn expand(
    frame: &[u8],
    unpacker: &'static Unpacker,
    begin: impl FnOnce() -> Option<Decompressor<'static>>,
) -> Result<Vec<u8>, StoreError> {
    let broken = || StoreError::Unreadable("a compressed attribute cannot be expanded".into());
    let size = Decompressor::upper_bound(frame)
        .filter(|size| *size <= MAX_EXPANDED)
        .ok_or_else(broken)?;
    unpacker.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = begin();
        }
        slot.as_mut()
            .and_then(|decompressor| decompressor.decompress(frame, size).ok())
            .ok_or_else(broken)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..2000), repeat in 1_usize..20) {
            let bytes = bytes.repeat(repeat);
            for packed in [Blob::pack(&bytes), Blob::pack_words(&bytes)] {
                prop_assert!(packed.stored_len() <= bytes.len());
                prop_assert_eq!(packed.unpack().unwrap(), bytes.clone());
            }
        }

        #[test]
        fn a_broken_frame_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Blob::Zstd(ByteBuf::from(bytes.clone())).unpack();
            let _ = Blob::Words(ByteBuf::from(bytes)).unpack();
        }
    }

    #[test]
    fn a_bomb_is_not_expanded() {
        let frame = zstd::bulk::compress(&vec![0; 3 * 1024 * 1024], 3).unwrap();
        assert!(frame.len() < 1000);
        assert!(Blob::Zstd(ByteBuf::from(frame.clone())).unpack().is_err());
        assert!(Blob::Words(ByteBuf::from(frame)).unpack().is_err());
    }

    #[test]
    fn the_dictionary_is_what_it_was() {
        // What is stored can be read with exactly these bytes only.
        assert_eq!(
            payload::id::token_hash(std::str::from_utf8(WORDS).unwrap()),
            "5d3d9323c23b8036910b339b873e2542f78f192b169ab667057fd055ec22706d"
        );
    }

    #[test]
    fn what_an_event_says_beside_its_body_is_short_by_the_dictionary() {
        let meta = br#"{"id":"evt_57989244d68a7e129ebca58e6dde892c2df294a9","type":"order.paid","timestamp":"2026-01-01T09:30:00Z","source":{"id":"src_01M828DEKWG1JQ06AVQ1VYWYY3","name":"shop","provider":"custom"},"providerEventId":"o-7","entity":{"type":"order","id":"7"},"action":"updated","verified":{"scheme":"hmac","body":true,"id":false,"time":true,"query":false}}"#;
        let (plain, words) = (Blob::pack(meta).stored_len(), Blob::pack_words(meta).stored_len());
        assert!(words * 5 < plain * 3, "{words} instead of {plain} bytes");
    }
}
