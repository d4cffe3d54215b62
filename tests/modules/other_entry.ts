// The first module of threads in place of worker_entry, for tests/sched/entry_url_test.ts.
(globalThis as { cameThrough?: string }).cameThrough = "other_entry";
await import("../../worker_entry.ts");
