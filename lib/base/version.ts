/** The version of numakit, as in `deno.json`; a test compares the two. */
export const VERSION: string = "0.1.0";
