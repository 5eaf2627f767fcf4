//! What the gradients of attention with respect to queries and to keys have in common: the rows of a cube, queries or keys,
//! meet the vectors of the other side in strips.
//!
//! Several units share a row, each with some of its columns in registers. The vectors of a strip pass through shared
//! memory, rotated on the way. Of each strip every unit writes its part of the products of two vectors to shared memory,
//! then the cube adds up the parts and makes weights of them, and then every unit adds to its columns of the gradients.

use cubecl::prelude::*;

use super::attention::SHARED;

/// Pairs of columns that a unit has at most: of its four vectors, in the gradient of keys, they fill 64 registers.
const PAIRS: usize = 8;
/// Units of a cube at most: few enough that the registers of a card hold many cubes.
const UNITS: usize = 128;

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
        let rows = (UNITS / parts).max(1);
        // Of each vector of a strip: its two halves, as queries or keys have gradients or values with them, and the parts
        // of its products with every row.
        let strip = (SHARED / (2 * head_dim + 2 * rows * parts)).max(1);
        Self { n_heads, n_kv_heads, head_dim, parts, rows, strip }
    }

    pub(super) fn units(self) -> usize {
        self.rows * self.parts
    }

    pub(super) fn half(self) -> usize {
        self.head_dim / 2
    }

    /// Pairs of columns of a unit.
    pub(super) fn pairs(self) -> usize {
        self.half() / self.parts
    }

    /// Columns of a unit.
    pub(super) fn width(self) -> usize {
        2 * self.pairs()
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
    /// Row of the unit in the cube.
    pub(super) row: usize,
    /// Part of the row.
    pub(super) part: usize,
}

#[cube]
pub(super) fn place(cubes: &Array<i32>, #[comptime] tiling: Tiling) -> Place {
    let cube = CUBE_POS_Y as usize * 3;
    let unit = UNIT_POS as usize;
    // Neighbours have the same part, so they read the same numbers of a strip at the same time.
    Place {
        document: cubes[cube] as usize,
        first: cubes[cube + 1] as usize,
        end: cubes[cube + 2] as usize,
        row: unit % comptime!(tiling.rows),
        part: unit / comptime!(tiling.rows),
    }
}

/// A unit's columns of its row: of each half of a vector, `pairs` of them.
#[derive(CubeType)]
pub(super) struct Row {
    pub(super) turned: Array<f32>,
    pub(super) plain: Array<f32>,
}

/// The row of a unit, rotated and multiplied by `scale`.
#[cube]
pub(super) fn read_row(
    side: &Side,
    turns: &Turns,
    place: &Place,
    head: usize,
    scale: f32,
    #[comptime] heads: usize,
    #[comptime] tiling: Tiling,
) -> Row {
    let (half, pairs) = comptime!((tiling.half(), tiling.pairs()));
    let mut turned = Array::<f32>::new(comptime!(tiling.width()));
    let mut plain = Array::<f32>::new(comptime!(tiling.width()));
    // Units beyond the last row read it again and keep nothing.
    let slot = min(place.first + place.row, place.end - 1);
    let from = (slot * heads + head) * comptime!(tiling.head_dim) + place.part * pairs;
    let angle = (slot - place.document) * half + place.part * pairs;
    #[unroll]
    for i in 0..pairs {
        let (a, b) = (side.turned[from + i] * scale, side.turned[from + half + i] * scale);
        let (cos, sin) = (turns.cos[angle + i], turns.sin[angle + i]);
        turned[i] = a * cos - b * sin;
        turned[pairs + i] = b * cos + a * sin;
        plain[i] = side.plain[from + i];
        plain[pairs + i] = side.plain[from + half + i];
    }
    Row { turned, plain }
}

#[cube]
pub(super) fn zeros(#[comptime] tiling: Tiling) -> Array<f32> {
    let mut sums = Array::<f32>::new(comptime!(tiling.width()));
    #[unroll]
    for i in 0..comptime!(tiling.width()) {
        sums[i] = 0.0;
    }
    sums
}

/// What the units of a cube share.
#[derive(CubeType)]
pub(super) struct Strip {
    /// Vectors of the other side, `[strip, head_dim]`: the columns of a part lie together.
    pub(super) turned: SharedMemory<f32>,
    pub(super) plain: SharedMemory<f32>,
    /// Parts of the products of `turned` with the rows, `[parts, strip, rows]`; in the first part, later, the weights.
    pub(super) scores: SharedMemory<f32>,
    /// Parts of the products of `plain` with the rows; later the gradients of the scores.
    pub(super) slopes: SharedMemory<f32>,
}

#[cube]
pub(super) fn empty_strip(#[comptime] tiling: Tiling) -> Strip {
    let vectors = comptime!(tiling.strip * tiling.head_dim);
    let products = comptime!(tiling.strip * tiling.units());
    Strip {
        turned: SharedMemory::<f32>::new(vectors),
        plain: SharedMemory::<f32>::new(vectors),
        scores: SharedMemory::<f32>::new(products),
        slopes: SharedMemory::<f32>::new(products),
    }
}

/// Reads the vectors of a strip, rotated and multiplied by `scale`.
#[cube]
pub(super) fn fetch(
    strip: &mut Strip,
    side: &Side,
    turns: &Turns,
    place: &Place,
    start: usize,
    head: usize,
    scale: f32,
    #[comptime] heads: usize,
    #[comptime] tiling: Tiling,
) {
    let (half, pairs) = comptime!((tiling.half(), tiling.pairs()));
    let (all, units) = comptime!((tiling.strip * tiling.half(), tiling.units()));
    for pair in range_stepped(UNIT_POS as usize, all, units) {
        let (line, i) = (pair / half, pair % half);
        // Beyond the end the last vector comes again, for weights of zero.
        let slot = min(start + line, place.end - 1);
        let from = (slot * heads + head) * comptime!(tiling.head_dim) + i;
        let angle = (slot - place.document) * half + i;
        let (a, b) = (side.turned[from] * scale, side.turned[from + half] * scale);
        let (cos, sin) = (turns.cos[angle], turns.sin[angle]);
        let target = line * comptime!(tiling.head_dim) + i / pairs * comptime!(tiling.width()) + i % pairs;
        strip.turned[target] = a * cos - b * sin;
        strip.turned[target + pairs] = b * cos + a * sin;
        strip.plain[target] = side.plain[from];
        strip.plain[target + pairs] = side.plain[from + half];
    }
}

/// A unit's part of the products of its row with the vectors of a strip.
#[cube]
pub(super) fn multiply(strip: &mut Strip, row: &Row, place: &Place, #[comptime] tiling: Tiling) {
    let width = comptime!(tiling.width());
    for line in 0..comptime!(tiling.strip) {
        let from = line * comptime!(tiling.head_dim) + place.part * width;
        let mut score = 0.0_f32;
        let mut slope = 0.0_f32;
        #[unroll]
        for i in 0..width {
            score += row.turned[i] * strip.turned[from + i];
            slope += row.plain[i] * strip.plain[from + i];
        }
        let target = (place.part * comptime!(tiling.strip) + line) * comptime!(tiling.rows) + place.row;
        strip.scores[target] = score;
        strip.slopes[target] = slope;
    }
}

/// Makes weights and gradients of scores of the products of a strip; zero where a query does not see a key.
#[cube]
pub(super) fn weigh(
    strip: &mut Strip,
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

/// Adds the vectors of a strip to a unit's sums, each with its factor for the unit's row.
#[cube]
pub(super) fn accumulate(
    sums: &mut Array<f32>,
    factors: &SharedMemory<f32>,
    vectors: &SharedMemory<f32>,
    place: &Place,
    #[comptime] tiling: Tiling,
) {
    let width = comptime!(tiling.width());
    for line in 0..comptime!(tiling.strip) {
        let factor = factors[line * comptime!(tiling.rows) + place.row];
        let from = line * comptime!(tiling.head_dim) + place.part * width;
        #[unroll]
        for i in 0..width {
            sums[i] += factor * vectors[from + i];
        }
    }
}

/// Writes the columns of a unit, with the rotation undone, times `scale`.
#[cube]
pub(super) fn write_turned_back(
    sums: &Array<f32>,
    output: &mut Array<f32>,
    turns: &Turns,
    place: &Place,
    head: usize,
    scale: f32,
    #[comptime] heads: usize,
    #[comptime] tiling: Tiling,
) {
    let (half, pairs) = comptime!((tiling.half(), tiling.pairs()));
    let slot = place.first + place.row;
    if slot < place.end {
        let to = (slot * heads + head) * comptime!(tiling.head_dim) + place.part * pairs;
        let angle = (slot - place.document) * half + place.part * pairs;
        #[unroll]
        for i in 0..pairs {
            let (cos, sin) = (turns.cos[angle + i], turns.sin[angle + i]);
            output[to + i] = (sums[i] * cos + sums[pairs + i] * sin) * scale;
            output[to + half + i] = (sums[pairs + i] * cos - sums[i] * sin) * scale;
        }
    }
}

/// Writes the columns of a unit.
#[cube]
pub(super) fn write(
    sums: &Array<f32>,
    output: &mut Array<f32>,
    place: &Place,
    head: usize,
    #[comptime] heads: usize,
    #[comptime] tiling: Tiling,
) {
    let (half, pairs) = comptime!((tiling.half(), tiling.pairs()));
    let slot = place.first + place.row;
    if slot < place.end {
        let to = (slot * heads + head) * comptime!(tiling.head_dim) + place.part * pairs;
        #[unroll]
        for i in 0..pairs {
            output[to + i] = sums[i];
            output[to + half + i] = sums[pairs + i];
        }
    }
}
