//! Which pair to show next. Three strategies propose pairs; [`show_next`] mixes in repeats and gold pairs, and puts one
//! document on the left.
//!
//! - [`balanced`]: every document equally often, at random
//! - [`adaptive`]: where a judgement is expected to tell most, after all that is known: judgements, and where there are
//!   some, texts and what a scorer says of them
//! - a given list: any list of [`Pairing`]s
//!
//! [`Groups`] keeps the pairs of the first two within the splits of an import.
//!
//! Nothing here has a state. What is random depends on the seed and on how many judgements or pairs there are already,
//! so that a session that is interrupted goes on as it would have.

mod adaptive;
mod balanced;
mod groups;
mod show;

pub use adaptive::{AdaptiveOptions, Known, adaptive, adaptive_new, judgements_until};
pub use balanced::balanced;
pub use groups::Groups;
pub use show::{Kind, Mix, Showing, show_all, show_next};

/// Two documents by index, in no particular order.
pub type Pairing = (usize, usize);

/// The smaller index first.
pub fn unordered((a, b): Pairing) -> Pairing {
    (a.min(b), a.max(b))
}

/// Which documents are connected by pairs so far.
struct Parts(Vec<usize>);

impl Parts {
    /// `n` documents, each on its own.
    fn new(n: usize) -> Self {
        Self((0..n).collect())
    }

    /// A document that stands for all it is connected with.
    fn of(&mut self, mut document: usize) -> usize {
        while self.0[document] != document {
            self.0[document] = self.0[self.0[document]];
            document = self.0[document];
        }
        document
    }

    /// Connects two documents; whether they were not before.
    fn join(&mut self, (a, b): Pairing) -> bool {
        let (a, b) = (self.of(a), self.of(b));
        self.0[a] = b;
        a != b
    }
}

/// The number of parts that are not connected with each other; 1 when every document can be compared with every other
/// one, directly or through others.
pub fn n_parts(n: usize, pairs: impl IntoIterator<Item = Pairing>) -> usize {
    let mut parts = Parts::new(n);
    n - pairs.into_iter().filter(|&pair| parts.join(pair)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_by_hand() {
        assert_eq!(n_parts(5, [(0, 1), (1, 2), (2, 0)]), 3);
        assert_eq!(n_parts(4, [(0, 1), (2, 3), (3, 1)]), 1);
        assert_eq!(n_parts(0, []), 0);
    }
}
