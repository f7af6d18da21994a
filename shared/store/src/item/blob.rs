//! Bytes in an item, compressed with zstd (RFC 8878) where that is smaller: writes are billed by the kilobyte.

use std::cell::RefCell;

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
}

/// Below this a frame's own header eats what it saves.
const WORTH_COMPRESSING: usize = 64;

/// A stored frame may claim any size: what is larger than anything we store is not expanded.
const MAX_EXPANDED: usize = 2 * 1024 * 1024;

thread_local! {
    // A context costs more to set up than a small body to compress.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

impl Blob {
    pub(crate) fn pack(bytes: &[u8]) -> Self {
        if bytes.len() >= WORTH_COMPRESSING
            && let Some(frame) = compress(bytes).filter(|frame| frame.len() < bytes.len())
        {
            return Self::Zstd(ByteBuf::from(frame));
        }
        Self::Raw(ByteBuf::from(bytes))
    }

    /// How many bytes it takes in the item.
    pub(crate) fn stored_len(&self) -> usize {
        match self {
            Self::Raw(bytes) | Self::Zstd(bytes) => bytes.len(),
        }
    }

    pub(crate) fn unpack(self) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Raw(bytes) => Ok(bytes.into_vec()),
            Self::Zstd(frame) => expand(&frame),
        }
    }
}

fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::new(3).ok();
        }
        slot.as_mut()?.compress(bytes).ok()
    })
}

fn expand(frame: &[u8]) -> Result<Vec<u8>, StoreError> {
    let broken = || StoreError::Unreadable("a compressed attribute cannot be expanded".into());
    let size = Decompressor::upper_bound(frame)
        .filter(|size| *size <= MAX_EXPANDED)
        .ok_or_else(broken)?;
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Decompressor::new().ok();
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
            let packed = Blob::pack(&bytes);
            prop_assert!(packed.stored_len() <= bytes.len());
            prop_assert_eq!(packed.unpack().unwrap(), bytes);
        }

        #[test]
        fn a_broken_frame_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Blob::Zstd(ByteBuf::from(bytes)).unpack();
        }
    }

    #[test]
    fn a_bomb_is_not_expanded() {
        let frame = zstd::bulk::compress(&vec![0; 3 * 1024 * 1024], 3).unwrap();
        assert!(frame.len() < 1000);
        assert!(Blob::Zstd(ByteBuf::from(frame)).unpack().is_err());
    }
}
