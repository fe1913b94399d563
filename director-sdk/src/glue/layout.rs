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
