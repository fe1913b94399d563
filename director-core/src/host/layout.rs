//! Reading and writing the boundary's plain C data.
//!
//! What comes from a plugin is copied before it is looked at: a struct as far as both sides know it,
//! bytes within a bound. Nothing here keeps a reference into a plugin's memory beyond a call.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::slice;

use director_abi::{Bytes, Owned};

/// Copies the smaller of both sides' sizes into a zeroed struct.
///
/// # Safety
///
/// `from` is null, or points to a struct that begins with its size in bytes and is that long.
/// `T` begins with `size: usize`, and all-zero bytes are a value of it.
pub(crate) unsafe fn adopt<T>(from: *const T) -> Option<T> {
    if from.is_null() {
        return None;
    }
    let mut into = MaybeUninit::<T>::zeroed();
    // SAFETY: by the contract the first field is the size, and that many bytes may be read. `into`
    // has `size_of::<T>()` bytes, zeroed, which makes what is not copied a value too.
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
/// `T` begins with `size: usize`.
pub(crate) unsafe fn give_back<T>(into: *mut T, value: &T) -> bool {
    let head = size_of::<usize>();
    if into.is_null() {
        return false;
    }
    // SAFETY: by the contract the first field is the size, and that many bytes may be written.
    unsafe {
        let size = into.cast::<usize>().read_unaligned().min(size_of::<T>());
        if size < head {
            return false;
        }
        ptr::copy_nonoverlapping(
            ptr::from_ref(value).cast::<u8>().add(head),
            into.cast::<u8>().add(head),
            size - head,
        );
    }
    true
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

/// At most `most` bytes of text; what is not UTF-8 is replaced.
///
/// # Safety
///
/// As for [`lent`], for the call.
pub(crate) unsafe fn text(bytes: Bytes, most: usize) -> String {
    // SAFETY: handed on.
    let all = unsafe { lent(bytes) };
    String::from_utf8_lossy(&all[..all.len().min(most)]).into_owned()
}

/// Copies at most `most` bytes that were handed over, and frees them in the maker's allocator.
///
/// # Safety
///
/// `owned` is as [`Owned`] says, and is not used again.
pub(crate) unsafe fn take_text(owned: &mut Owned, most: usize) -> String {
    let owned = std::mem::replace(owned, Owned::EMPTY);
    if owned.ptr.is_null() {
        return String::new();
    }
    // SAFETY: not null, so there are `len` bytes, until they are freed below.
    let taken = unsafe {
        text(
            Bytes {
                ptr: owned.ptr,
                len: owned.len,
            },
            most,
        )
    };
    if let Some(free) = owned.free {
        // SAFETY: the maker's own function, called once: `owned` was replaced above.
        unsafe { free(owned.ptr, owned.len, owned.cap) };
    }
    taken
}

/// A plugin's pointer that may cross threads, as the boundary's rules say that it may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreign(pub(crate) *mut c_void);

// SAFETY: the boundary's rules: the host calls a plugin's functions from any thread. What may not
// run at once (one task's future) is kept on one thread by its owner, not by this pointer.
unsafe impl Send for Foreign {}
// SAFETY: as above; the pointer itself is only ever handed to the plugin.
unsafe impl Sync for Foreign {}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Debug, PartialEq)]
    struct Old {
        size: usize,
        one: u32,
        two: u32,
    }

    #[repr(C)]
    #[derive(Debug, PartialEq)]
    struct New {
        size: usize,
        one: u32,
        two: u32,
        three: u64,
    }

    #[test]
    fn a_shorter_struct_is_read_with_zeroes_behind_it() {
        let old = Old {
            size: size_of::<Old>(),
            one: 1,
            two: 2,
        };
        // SAFETY: `old` is as long as it says.
        let new = unsafe { adopt(ptr::from_ref(&old).cast::<New>()) };
        let expected = New {
            size: size_of::<Old>(),
            one: 1,
            two: 2,
            three: 0,
        };
        assert_eq!(new, Some(expected));
    }

    #[test]
    fn a_longer_reader_gets_what_is_known_and_keeps_its_size() {
        let mut new = New {
            size: size_of::<New>(),
            one: 9,
            two: 9,
            three: 9,
        };
        let value = Old {
            size: size_of::<Old>(),
            one: 1,
            two: 2,
        };
        // SAFETY: `new` is longer than an `Old`.
        let written = unsafe { give_back(ptr::from_mut(&mut new).cast::<Old>(), &value) };
        assert!(written);
        assert_eq!((new.one, new.two, new.three), (1, 2, 9));
        assert_eq!(new.size, size_of::<New>());
    }

    #[test]
    fn a_size_that_cannot_be_writes_nothing() {
        let mut size = 3_usize;
        let value = Old {
            size: 0,
            one: 1,
            two: 2,
        };
        // SAFETY: only the size is looked at.
        let written = unsafe { give_back(ptr::from_mut(&mut size).cast::<Old>(), &value) };
        assert!(!written);
        assert_eq!(size, 3);
    }
}
