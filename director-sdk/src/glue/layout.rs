//! Reading and writing the boundary's plain C data.
//!
//! A struct that begins with its size is copied as far as both sides know it; bytes are copied
//! before the call that lent them returns.

use std::mem::MaybeUninit;
use std::ptr;
use std::slice;

use director_abi::{Bytes, Owned, Table};

/// Copies the smaller of both sides' sizes into a zeroed struct; `None` for a null pointer.
///
/// # Safety
///
/// `from` is null, or points to a struct that begins with its size in bytes and is that long.
pub(crate) unsafe fn adopt<T: Table>(from: *const T) -> Option<T> {
    if from.is_null() {
        return None;
    }
    let mut into = MaybeUninit::<T>::zeroed();
    // SAFETY: by the contract the first field is the size, and that many bytes may be read. `into`
    // has `size_of::<T>()` zeroed bytes, which are a value of every `Table`.
    unsafe {
        let size = from.cast::<usize>().read_unaligned();
        ptr::copy_nonoverlapping(
            from.cast::<u8>(),
            into.as_mut_ptr().cast::<u8>(),
            size.min(size_of::<T>()),
        );
        Some(into.assume_init())
    }
}

/// Writes `value` as far as the reader's own size goes, and leaves that size as it was.
///
/// # Safety
///
/// `into` is null, or points to a struct that begins with its size in bytes and is that long.
pub(crate) unsafe fn give_back<T: Table>(into: *mut T, value: T) {
    const HEAD: usize = size_of::<usize>();
    if into.is_null() {
        return;
    }
    // SAFETY: by the contract the first field is the size, and that many bytes may be written.
    unsafe {
        let size = into.cast::<usize>().read_unaligned().min(size_of::<T>());
        if size > HEAD {
            ptr::copy_nonoverlapping(
                ptr::from_ref(&value).cast::<u8>().add(HEAD),
                into.cast::<u8>().add(HEAD),
                size - HEAD,
            );
        }
    }
}

/// The bytes that a caller lends for the call.
///
/// # Safety
///
/// `bytes` is as [`Bytes`] says, for as long as `'a`.
pub(crate) unsafe fn lent<'a>(bytes: Bytes) -> &'a [u8] {
    if bytes.ptr.is_null() || bytes.len == 0 || bytes.len > isize::MAX as usize {
        return &[];
    }
    // SAFETY: not null, not longer than an allocation can be, and readable by the contract.
    unsafe { slice::from_raw_parts(bytes.ptr, bytes.len) }
}

/// The text that a caller lends for the call; what is not UTF-8 is replaced.
///
/// # Safety
///
/// As for [`lent`], for the call.
pub(crate) unsafe fn text(bytes: Bytes) -> String {
    // SAFETY: handed on.
    String::from_utf8_lossy(unsafe { lent(bytes) }).into_owned()
}

/// Takes text over, and frees it in its maker.
///
/// # Safety
///
/// `owned` is as [`Owned`] says.
pub(crate) unsafe fn take(owned: Owned) -> String {
    if owned.ptr.is_null() {
        return String::new();
    }
    // SAFETY: handed on; freed once, for `owned` is gone.
    unsafe {
        let taken = text(Bytes {
            ptr: owned.ptr,
            len: owned.len,
        });
        if let Some(free) = owned.free {
            free(owned.ptr, owned.len, owned.cap);
        }
        taken
    }
}

/// Hands text over to the host, which frees it with the function that goes with it.
pub(crate) fn own(text: String) -> Owned {
    if text.is_empty() {
        return Owned::EMPTY;
    }
    let mut bytes = std::mem::ManuallyDrop::new(text.into_bytes());
    Owned {
        ptr: bytes.as_mut_ptr(),
        len: bytes.len(),
        cap: bytes.capacity(),
        free: Some(free),
    }
}

unsafe extern "C" fn free(ptr: *mut u8, len: usize, cap: usize) {
    // SAFETY: the three are those of the vector that `own` gave away, and this is called once.
    drop(unsafe { Vec::from_raw_parts(ptr, len, cap) });
}

#[cfg(test)]
mod tests {
    use director_abi::Load;

    use super::*;

    fn load(size: usize) -> Load {
        Load {
            size,
            load: 1.5,
            flags: 3,
            _pad: 0,
        }
    }

    #[test]
    fn what_the_shorter_side_does_not_know_is_zero() {
        let full = load(size_of::<Load>());
        let short = load(std::mem::offset_of!(Load, flags));
        // SAFETY: both are at least as long as they say.
        let (full, short) = unsafe { (adopt(&full), adopt(&short)) };
        let (full, short) = (full.unwrap(), short.unwrap());
        assert_eq!((full.load, full.flags), (1.5, 3));
        assert_eq!((short.load, short.flags), (1.5, 0));
    }

    #[test]
    fn a_reader_gets_what_fits_and_keeps_its_own_size() {
        for size in [0, 3, 8, 16, 24, 100] {
            let mut into = Load {
                load: 9.0,
                flags: 9,
                ..load(size)
            };
            // SAFETY: no more than `size_of::<Load>()` bytes are written, whatever it says.
            unsafe { give_back(&mut into, load(0)) };
            let expected = match size {
                16 => (1.5, 9),
                24 | 100 => (1.5, 3),
                _ => (9.0, 9),
            };
            assert_eq!(
                (into.size, into.load, into.flags),
                (size, expected.0, expected.1)
            );
        }
    }

    #[test]
    fn text_that_is_handed_over_is_freed_by_its_maker() {
        let owned = own("a failure".to_owned());
        assert_eq!(owned.len, 9);
        // SAFETY: made by `own`, freed once.
        unsafe { owned.free.unwrap()(owned.ptr, owned.len, owned.cap) };
        assert!(own(String::new()).free.is_none());
    }
}
