//! The same bytes through the zstd library called in different ways: what the calls cost, and what they gain.

use zstd::zstd_safe::{
    CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, compress_bound, get_error_name,
    zstd_sys::ZSTD_EndDirective,
};

use crate::Bench;
use crate::process::cpu_of;
use crate::push::closure;
use crate::report::{self, Table, Targets, median, megabytes};

const LEVEL: i32 = 3;
/// What the library is given at a time when it is given a stream.
const CHUNK: usize = 1 << 20;

#[derive(Clone, Copy)]
enum Way {
    /// `ZSTD_compressStream2`, one frame for all; with so many workers.
    Stream(u32),
    /// `ZSTD_compress2`, a frame for each so many bytes.
    Whole(usize),
}

const WAYS: [(&str, Way); 5] = [
    ("stream, 1 MiB at a time", Way::Stream(0)),
    ("stream with one worker, jobs of 8 MiB", Way::Stream(1)),
    ("one call and frame for each 4 MiB", Way::Whole(4 << 20)),
    ("one call and frame for each 8 MiB", Way::Whole(8 << 20)),
    ("one call and frame for each 32 MiB", Way::Whole(32 << 20)),
];

pub(crate) fn run(bench: &Bench) -> anyhow::Result<Targets> {
    let dir = bench.dir.path().join("zstd");
    std::fs::create_dir(&dir)?;
    let (store, root) = closure(bench, &dir)?;
    let file = dir.join("nars");
    store.dump_all(&store.closure(&root)?, &file)?;
    let bytes = std::fs::read(&file)?;
    report::title(&format!(
        "zstd: {} of NARs from memory at level {LEVEL}, {} rounds",
        megabytes(bytes.len() as f64),
        bench.args.rounds
    ));
    let mut times = [const { Vec::new() }; WAYS.len()];
    let mut sizes = [0; WAYS.len()];
    for _ in 0..bench.args.rounds {
        for (number, (_, way)) in WAYS.into_iter().enumerate() {
            let before = cpu_of(std::process::id())?;
            sizes[number] = match way {
                Way::Stream(workers) => stream(&bytes, workers),
                Way::Whole(size) => whole(&bytes, size),
            }
            .map_err(|code| anyhow::anyhow!("zstd: {}", get_error_name(code)))?;
            times[number].push((cpu_of(std::process::id())? - before).as_secs_f64());
        }
    }
    let mut table = Table::new(&["", "CPU", "of the first", "bytes", "of the first"]);
    let first = (median(times[0].clone()), sizes[0] as f64);
    for (number, (name, _)) in WAYS.into_iter().enumerate() {
        let (time, size) = (median(times[number].clone()), sizes[number] as f64);
        table.row([
            name.to_owned(),
            format!("{time:.2} s"),
            format!("{:.2}", time / first.0),
            megabytes(size),
            format!("{:.3}", size / first.1),
        ]);
    }
    table.print();
    Ok(Targets::new())
}

fn stream(bytes: &[u8], workers: u32) -> Result<usize, usize> {
    let mut context = CCtx::create();
    context.set_parameter(CParameter::CompressionLevel(LEVEL))?;
    if workers > 0 {
        context.set_parameter(CParameter::NbWorkers(workers))?;
        context.set_parameter(CParameter::JobSize(8 << 20))?;
    }
    context.set_pledged_src_size(Some(bytes.len() as u64))?;
    let mut scratch = Vec::with_capacity(128 << 10);
    let mut sum = 0;
    let mut step = |input: &mut InBuffer<'_>, end| -> Result<usize, usize> {
        scratch.clear();
        let left = context.compress_stream2(&mut OutBuffer::around(&mut scratch), input, end)?;
        sum += scratch.len();
        Ok(left)
    };
    for chunk in bytes.chunks(CHUNK) {
        let mut input = InBuffer::around(chunk);
        while input.pos() < chunk.len() {
            step(&mut input, ZSTD_EndDirective::ZSTD_e_continue)?;
        }
    }
    while step(&mut InBuffer::around(&[]), ZSTD_EndDirective::ZSTD_e_end)? > 0 {}
    Ok(sum)
}

fn whole(bytes: &[u8], size: usize) -> Result<usize, usize> {
    let mut context = CCtx::create();
    let mut scratch = Vec::with_capacity(compress_bound(size));
    let mut sum = 0;
    for piece in bytes.chunks(size) {
        context.reset(ResetDirective::SessionAndParameters)?;
        context.set_parameter(CParameter::CompressionLevel(LEVEL))?;
        scratch.clear();
        sum += context.compress2(&mut scratch, piece)?;
    }
    Ok(sum)
}
