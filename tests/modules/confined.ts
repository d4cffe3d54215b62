// A process that taskset has put on one CPU asks for another one: for tests/sched/binding_test.ts.
import process from "node:process";
import body from "../workers/pins.ts";

const told = await body({ task: "confined", cpu: Number(process.argv[2]) });
process.stdout.write(JSON.stringify(told));
