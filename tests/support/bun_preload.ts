// `bun test FILE` without flags: a test has as long as it takes on a busy machine, not Bun's five seconds.
import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(900_000);
