//! The functions by which a plugin asks how a node stands, and says by what one is chosen.
#![allow(unsafe_code)]

use std::task::Poll;
use std::time::Duration;

use director_abi as abi;
use director_abi::{FAILED, PANICKED, PENDING, READY};

use super::api::guard;
use super::confirm::Confirm;
use super::layout::{give_back, lent};
use super::tables;
use super::task::Task;
use super::waker::Lent;
use crate::cluster::hash;

pub(super) unsafe extern "C" fn confirm(task: u64, node: u32, settle_ns: u64) -> u64 {
    guard("confirm", 0, || {
        tables::get::<Task>(task)
            .ok()
            .and_then(|task| Confirm::begin(&task, node, Duration::from_nanos(settle_ns)))
            .unwrap_or(0)
    })
}

pub(super) unsafe extern "C" fn confirm_poll(
    confirm: u64,
    waker: *const abi::Waker,
    standing: *mut abi::NodeStanding,
) -> u32 {
    guard("confirm_poll", PANICKED, || {
        let Ok(confirm) = tables::get::<Confirm>(confirm) else {
            return FAILED;
        };
        // SAFETY: lent for the call.
        let Poll::Ready(found) = confirm.poll(unsafe { Lent::read(waker) }) else {
            return PENDING;
        };
        let told = abi::NodeStanding {
            size: size_of::<abi::NodeStanding>(),
            flags: if found.answers {
                abi::NodeStanding::ANSWERS
            } else {
                0
            },
            ended: found.ended,
        };
        // SAFETY: null, or to be written by the contract.
        if unsafe { give_back(standing, &told) } {
            READY
        } else {
            FAILED
        }
    })
}

pub(super) unsafe extern "C" fn confirm_end(confirm: u64) {
    // A void number: it was ended before.
    guard("confirm_end", (), || {
        let _void = Confirm::end(confirm);
    });
}

pub(super) unsafe extern "C" fn session_key(task: u64, key: abi::Bytes) -> u32 {
    guard("session_key", PANICKED, || {
        let Ok(task) = tables::get::<Task>(task) else {
            return FAILED;
        };
        // SAFETY: lent for the call.
        task.key.set(Some(hash(unsafe { lent(key) })));
        READY
    })
}
