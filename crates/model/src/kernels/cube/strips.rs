//! What the gradients of attention with respect to queries and to keys have in common: the rows of a cube, queries or keys,
//! meet the vectors of the other side in strips.
//!
//! Several units share a row, each with some of its columns in registers, and a unit has a part of several rows. The vectors
//! of a strip pass through shared memory, rotated on the way. Of each strip every unit writes its part of the products of
//! two vectors to shared memory, then the cube adds up the parts and makes weights of them, and then every unit adds to its
//! columns of the gradients.

use cubecl::prelude::*;

use super::attention::SHARED;

/// Rows of a unit: what it reads of a strip serves all of them.
const ROWS: usize = 2;
/// Pairs of columns that a unit has of each row at most. The four vectors of each row in the gradient of keys then fill
/// 128 of the 255 registers that cards have for a unit.
const PAIRS: usize = 8;
/// Units of a cube at most.
const UNITS: usize = 64;

/// How a cube divides its work; known when a kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tiling {
    pub(super) n_heads: usize,
    pub(super) n_kv_heads: usize,
    pub(super) head_dim: usize,
    /// Units that share a row; divides half of `head_dim`.
    pub(super) parts: usize,
    /// Rows of a cube.
    pub(super) rows: usize,
    /// Vectors of the other side that pass at a time.
    pub(super) strip: usize,
}

impl Tiling {
    pub(super) fn new([n_heads, n_kv_heads]: [usize; 2], head_dim: usize) -> Self {
        let half = head_dim / 2;
        let fits = |parts: &usize| half.is_multiple_of(*parts) && half / parts <= PAIRS;
        let parts = (1..=half).find(fits).expect("parts of one pair each always fit");
        let rows = (UNITS / parts).max(1) * ROWS;
        // Shared memory has two vectors for each line of a strip, as queries and keys come with gradients or values, and the
        // parts of their products with every row.
        let strip = (SHARED / (2 * head_dim + 2 * rows * parts)).max(1);
        Self { n_heads, n_kv_heads, head_dim, parts, rows, strip }
    }

    pub(super) fn units(self) -> usize {
        self.apart() * self.parts
    }

    /// Distance of one row of a unit from the next.
    pub(super) fn apart(self) -> usize {
        self.rows / ROWS
    }

    pub(super) fn half(self) -> usize {
        self.head_dim / 2
    }

    /// Pairs of columns of a unit in each of its rows.
    pub(super) fn pairs(self) -> usize {
        self.half() / self.parts
    }

    /// Columns that a unit reads at once: vectors of this size lie in shared memory.
    pub(super) fn vector(self) -> usize {
        [4, 2].into_iter().find(|&size| self.pairs().is_multiple_of(size)).unwrap_or(1)
    }

    /// Vectors of a unit's columns of one half of a row.
    pub(super) fn vectors(self) -> usize {
        self.pairs() / self.vector()
    }

    pub(super) fn group(self) -> usize {
        self.n_heads / self.n_kv_heads
    }
}

/// Vectors of `[slots, heads · head_dim]`: queries with gradients of the output, or keys with values.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Side {
    /// Queries or keys, not rotated.
    pub(super) turned: Array<f32>,
    /// Gradients of the output, or values.
    pub(super) plain: Array<f32>,
}

/// Rotations by place in a document, `[len, head_dim / 2]`.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Turns {
    pub(super) cos: Array<f32>,
    pub(super) sin: Array<f32>,
}

/// Numbers of each query, `[slots, n_heads]`.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Sums {
    /// Logarithm of the softmax's denominator.
    pub(super) log_sum: Array<f32>,
    /// Mean of the weights' gradients, by the weights: `rowsum(dO · O)`.
    pub(super) mean: Array<f32>,
}

/// Where a unit works.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Place {
    /// First slot of the document.
    pub(super) document: usize,
    /// First row of the cube, a slot.
    pub(super) first: usize,
    /// End of the document.
    pub(super) end: usize,
    /// First row of the unit, counted in the cube; [`ROWS`] of them are [`Tiling::apart`].
    pub(super) row: usize,
    /// Part of its rows that the unit has.
    pub(super) part: usize,
}

/// The place of this unit, of [`cubes`](super::attention::cubes) and its number.
#[cube]
pub(super) fn place(cubes: &Array<i32>, #[comptime] tiling: Tiling) -> Place {
    let cube = CUBE_POS_Y as usize * 3;
    let unit = UNIT_POS as usize;
    // Neighbours have the same part, so they read the same numbers of a strip at the same time.
    Place {
        document: cubes[cube] as usize,
        first: cubes[cube + 1] as usize,
        end: cubes[cube + 2] as usize,
        row: unit % comptime!(tiling.apart()),
        part: unit / comptime!(tiling.apart()),
    }
}

/// A unit's columns of its rows: of each row those of the first half, then those of the second.
#[derive(CubeType)]
pub(super) struct Rows<N: Size> {
    pub(super) turned: Array<Vector<f32, N>>,
    pub(super) plain: Array<Vector<f32, N>>,
}

/// The rows of a unit, rotated and multiplied by `scale`.
#[cube]
pub(super) fn read_rows<N: Size>(
    side: &Side,
    turns: &Turns,
    place: &Place,
    head: usize,
    scale: f32,
    #[comptime] heads: usize,
    #[comptime] tiling: Tiling,
) -> Rows<N> {
    let (half, pairs, vectors) = comptime!((tiling.half(), tiling.pairs(), tiling.vectors()));
    let mut turned = Array::<Vector<f32, N>>::new(comptime!(2 * vectors * ROWS));
    let mut plain = Array::<Vector<f32, N>>::new(comptime!(2 * vectors * ROWS));
    #[unroll]
    for r in 0..comptime!(ROWS) {
        // Units beyond the last row read it again and keep nothing.
        let slot = min(slot(place, r, tiling), place.end - 1);
        let from = (slot * heads + head) * comptime!(tiling.head_dim) + place.part * pairs;
        let angle = (slot - place.document) * half + place.part * pairs;
        #[unroll]
        for i in 0..vectors {
            let column = i * comptime!(tiling.vector());
            let read = read_pairs::<N>(side, turns, from + column, angle + column, scale, tiling);
            let at = r * comptime!(2 * vectors) + i;
            turned[at] = read.turned_first;
            turned[at + vectors] = read.turned_second;
            plain[at] = read.plain_first;
            plain[at + vectors] = read.plain_second;
        }
    }
    Rows::<N> { turned, plain }
}

/// The slot of the row of this number of a unit.
#[cube]
fn slot(place: &Place, row: usize, #[comptime] tiling: Tiling) -> usize {
    place.first + place.row + row * comptime!(tiling.apart())
}

/// Neighbouring columns of the first half of a vector and those of the second that they turn with.
#[derive(CubeType)]
struct Pairs<N: Size> {
    turned_first: Vector<f32, N>,
    turned_second: Vector<f32, N>,
    plain_first: Vector<f32, N>,
    plain_second: Vector<f32, N>,
}

/// The pairs of columns from the place `from` on, rotated from the place `angle` on and multiplied by `scale`.
#[cube]
fn read_pairs<N: Size>(
    side: &Side,
    turns: &Turns,
    from: usize,
    angle: usize,
    scale: f32,
    #[comptime] tiling: Tiling,
) -> Pairs<N> {
    let half = comptime!(tiling.half());
    let mut turned_first = Vector::<f32, N>::empty();
    let mut turned_second = Vector::<f32, N>::empty();
    let mut plain_first = Vector::<f32, N>::empty();
    let mut plain_second = Vector::<f32, N>::empty();
    #[unroll]
    for i in 0..comptime!(tiling.vector()) {
        let (a, b) = (side.turned[from + i] * scale, side.turned[from + half + i] * scale);
        let (cos, sin) = (turns.cos[angle + i], turns.sin[angle + i]);
        turned_first[i] = a * cos - b * sin;
        turned_second[i] = b * cos + a * sin;
        plain_first[i] = side.plain[from + i];
        plain_second[i] = side.plain[from + half + i];
    }
    Pairs::<N> { turned_first, turned_second, plain_first, plain_second }
}

#[cube]
pub(super) fn zeros<N: Size>(#[comptime] tiling: Tiling) -> Array<Vector<f32, N>> {
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(2 * tiling.vectors() * ROWS));
    #[unroll]
    for i in 0..comptime!(2 * tiling.vectors() * ROWS) {
        sums[i] = Vector::<f32, N>::new(0.0);
    }
    sums
}

/// What the units of a cube share.
#[derive(CubeType)]
pub(super) struct Strip<N: Size> {
    /// Vectors of the other side, `[strip, head_dim]`: the columns of a part lie together.
    pub(super) turned: SharedMemory<Vector<f32, N>>,
    pub(super) plain: SharedMemory<Vector<f32, N>>,
    /// Parts of the products of `turned` with the rows, `[parts, strip, rows]`; in the first part, later, the weights.
    pub(super) scores: SharedMemory<f32>,
    /// Parts of the products of `plain` with the rows; later the gradients of the scores.
    pub(super) slopes: SharedMemory<f32>,
}

#[cube]
pub(super) fn empty_strip<N: Size>(#[comptime] tiling: Tiling) -> Strip<N> {
    let vectors = comptime!(tiling.strip * tiling.head_dim / tiling.vector());
    let products = comptime!(tiling.strip * tiling.rows * tiling.parts);
    Strip::<N> {
        turned: SharedMemory::<Vector<f32, N>>::new(vectors),
        plain: SharedMemory::<Vector<f32, N>>::new(vectors),
        scores: SharedMemory::<f32>::new(products),
        slopes: SharedMemory::<f32>::new(products),
    }
}

/// Reads the vectors of a strip, rotated and multiplied by `scale`.
#[cube]
pub(super) fn fetch<N: Size>(
    strip: &mut Strip<N>,
    side: &Side,
    turns: &Turns,
    place: &Place,
    start: usize,
    head: usize,
    scale: f32,
    #[comptime] heads: usize,
    #[comptime] tiling: Tiling,
) {
    let (half, vector, vectors) = comptime!((tiling.half(), tiling.vector(), tiling.vectors()));
    let of_line = comptime!(half / vector);
    let (all, units) = comptime!((tiling.strip * half / vector, tiling.units()));
    for task in range_stepped(UNIT_POS as usize, all, units) {
        let (line, i) = (task / of_line, task % of_line);
        // Beyond the end the last vector comes again, for weights of zero.
        let slot = min(start + line, place.end - 1);
        let from = (slot * heads + head) * comptime!(tiling.head_dim) + i * vector;
        let angle = (slot - place.document) * half + i * vector;
        let read = read_pairs::<N>(side, turns, from, angle, scale, tiling);
        let target = line * comptime!(2 * of_line) + i / vectors * comptime!(2 * vectors) + i % vectors;
        strip.turned[target] = read.turned_first;
        strip.turned[target + vectors] = read.turned_second;
        strip.plain[target] = read.plain_first;
        strip.plain[target + vectors] = read.plain_second;
    }
}

/// First vector of a unit's columns in a line of a strip.
#[cube]
fn columns(line: usize, place: &Place, #[comptime] tiling: Tiling) -> usize {
    (line * comptime!(tiling.parts) + place.part) * comptime!(2 * tiling.vectors())
}

/// A unit's part of the products of its rows with the vectors of a strip.
#[cube]
pub(super) fn multiply<N: Size>(
    strip: &mut Strip<N>,
    rows: &Rows<N>,
    place: &Place,
    #[comptime] tiling: Tiling,
) {
    for line in 0..comptime!(tiling.strip) {
        let from = columns(line, place, tiling);
        let mut scores = Array::<Vector<f32, N>>::new(comptime!(ROWS));
        let mut slopes = Array::<Vector<f32, N>>::new(comptime!(ROWS));
        #[unroll]
        for r in 0..comptime!(ROWS) {
            scores[r] = Vector::<f32, N>::new(0.0);
            slopes[r] = Vector::<f32, N>::new(0.0);
        }
        #[unroll]
        for i in 0..comptime!(2 * tiling.vectors()) {
            let (turned, plain) = (strip.turned[from + i], strip.plain[from + i]);
            #[unroll]
            for r in 0..comptime!(ROWS) {
                let at = r * comptime!(2 * tiling.vectors()) + i;
                scores[r] += rows.turned[at] * turned;
                slopes[r] += rows.plain[at] * plain;
            }
        }
        #[unroll]
        for r in 0..comptime!(ROWS) {
            let row = place.row + r * comptime!(tiling.apart());
            let target = (place.part * comptime!(tiling.strip) + line) * comptime!(tiling.rows) + row;
            strip.scores[target] = sum::<N>(scores[r], tiling);
            strip.slopes[target] = sum::<N>(slopes[r], tiling);
        }
    }
}

#[cube]
fn sum<N: Size>(vector: Vector<f32, N>, #[comptime] tiling: Tiling) -> f32 {
    let mut sum = vector[0];
    #[unroll]
    for i in 1..comptime!(tiling.vector()) {
        sum += vector[i];
    }
    sum
}

/// Makes weights and gradients of scores of the products of a strip; zero where a query does not see a key.
#[cube]
pub(super) fn weigh<N: Size>(
    strip: &mut Strip<N>,
    sums: &Sums,
    place: &Place,
    start: usize,
    head: usize,
    #[comptime] rows_are_keys: bool,
    #[comptime] tiling: Tiling,
) {
    let (all, units) = comptime!((tiling.strip * tiling.rows, tiling.units()));
    for pair in range_stepped(UNIT_POS as usize, all, units) {
        let line = start + pair / comptime!(tiling.rows);
        let row = place.first + pair % comptime!(tiling.rows);
        let (query, key) = if rows_are_keys { (line, row) } else { (row, line) };
        let mut weight = 0.0_f32;
        let mut slope = 0.0_f32;
        if key <= query && query < place.end {
            let mut score = 0.0_f32;
            #[unroll]
            for part in 0..comptime!(tiling.parts) {
                score += strip.scores[part * all + pair];
                slope += strip.slopes[part * all + pair];
            }
            let of_query = query * comptime!(tiling.n_heads) + head;
            weight = f32::exp(score - sums.log_sum[of_query]);
            slope = weight * (slope - sums.mean[of_query]);
        }
        strip.scores[pair] = weight;
        strip.slopes[pair] = slope;
    }
}

/// Adds the vectors of a strip to a unit's sums, each with its factor for the row.
#[cube]
pub(super) fn accumulate<N: Size>(
    sums: &mut Array<Vector<f32, N>>,
    factors: &SharedMemory<f32>,
    vectors: &SharedMemory<Vector<f32, N>>,
    place: &Place,
    #[comptime] tiling: Tiling,
) {
    for line in 0..comptime!(tiling.strip) {
        let from = columns(line, place, tiling);
        let mut of_rows = Array::<Vector<f32, N>>::new(comptime!(ROWS));
        #[unroll]
        for r in 0..comptime!(ROWS) {
            let row = place.row + r * comptime!(tiling.apart());
            of_rows[r] = Vector::<f32, N>::new(factors[line * comptime!(tiling.rows) + row]);
        }
        #[unroll]
        for i in 0..comptime!(2 * tiling.vectors()) {
            let vector = vectors[from + i];
            #[unroll]
            for r in 0..comptime!(ROWS) {
                sums[r * comptime!(2 * tiling.vectors()) + i] += of_rows[r] * vector;
            }
        }
    }
}

/// Writes the columns of a unit, with the rotation undone, times `scale`.
#[cube]
pub(super) fn write_turned_back<N: Size>(
    sums: &Array<Vector<f32, N>>,
    output: &mut Array<f32>,
    turns: &Turns,
    place: &Place,
    head: usize,
    scale: f32,
    #[comptime] heads: usize,
    #[comptime] tiling: Tiling,
) {
    let (half, pairs, vector) = comptime!((tiling.half(), tiling.pairs(), tiling.vector()));
    #[unroll]
    for r in 0..comptime!(ROWS) {
        let slot = slot(place, r, tiling);
        if slot < place.end {
            let to = (slot * heads + head) * comptime!(tiling.head_dim) + place.part * pairs;
            let angle = (slot - place.document) * half + place.part * pairs;
            #[unroll]
            for i in 0..comptime!(tiling.vectors()) {
                let at = r * comptime!(2 * tiling.vectors()) + i;
                let (first, second) = (sums[at], sums[at + comptime!(tiling.vectors())]);
                #[unroll]
                for j in 0..vector {
                    let column = i * vector + j;
                    let (cos, sin) = (turns.cos[angle + column], turns.sin[angle + column]);
                    output[to + column] = (first[j] * cos + second[j] * sin) * scale;
                    output[to + half + column] = (second[j] * cos - first[j] * sin) * scale;
                }
            }
        }
    }
}

/// Writes the columns of a unit.
#[cube]
pub(super) fn write<N: Size>(
    sums: &Array<Vector<f32, N>>,
    output: &mut Array<f32>,
    place: &Place,
    head: usize,
    #[comptime] heads: usize,
    #[comptime] tiling: Tiling,
) {
    let (half, pairs, vector) = comptime!((tiling.half(), tiling.pairs(), tiling.vector()));
    #[unroll]
    for r in 0..comptime!(ROWS) {
        let slot = slot(place, r, tiling);
        if slot < place.end {
            let to = (slot * heads + head) * comptime!(tiling.head_dim) + place.part * pairs;
            #[unroll]
            for i in 0..comptime!(tiling.vectors()) {
                let at = r * comptime!(2 * tiling.vectors()) + i;
                let (first, second) = (sums[at], sums[at + comptime!(tiling.vectors())]);
                #[unroll]
                for j in 0..vector {
                    output[to + i * vector + j] = first[j];
                    output[to + half + i * vector + j] = second[j];
                }
            }
        }
    }
}
