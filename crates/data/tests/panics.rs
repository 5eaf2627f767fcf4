//! The hook that prints panics is one for all threads.

use std::panic::set_hook;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use pair2score_data::caught;

static PRINTED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_caught_panic_is_silent_and_those_of_other_threads_are_not() {
    set_hook(Box::new(|_| {
        PRINTED.fetch_add(1, Ordering::SeqCst);
    }));
    let (begun, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            caught(|| {
                begun.wait();
                done.wait();
                panic!("an answer");
            })
        });
        begun.wait();
        let failing = scope.spawn(|| panic!("a bug"));
        assert!(failing.join().is_err());
        assert_eq!(PRINTED.load(Ordering::SeqCst), 1, "the bug is printed while the other thread asks");
        done.wait();
        assert_eq!(asking.join().unwrap(), None::<()>);
    });
    assert_eq!(PRINTED.load(Ordering::SeqCst), 1, "the answer is not printed");

    assert_eq!(caught(|| 3), Some(3));
    assert!(caught(|| caught(|| panic!("within another")).is_none()).unwrap());
    assert!(thread::spawn(|| panic!("another bug")).join().is_err());
    assert_eq!(PRINTED.load(Ordering::SeqCst), 2);
}
