/**
 * The unit tests that run in a container as Docker and Kubernetes make them by default (native/tests/container.c): those
 * that need no memory policy. What needs one is skipped there, by `noPolicies` of tests/support/policies.ts, or is in
 * a file that is not listed.
 */
import { type Command, commandsFor } from "./runtimes.ts";
import { unitTestsNamed } from "./unit_tests.ts";

const CONTAINER = "native/build/container";

/** Topology, policies, threads, pools and loops; locks and all else that lives in plain shared memory. */
const NAMES = [
  ...["barriers", "bytes", "conditions", "cpu_set", "current", "epoch", "import", "left_right"],
  ...["lock_cores", "machine", "object_heap", "policy", "reader_cores", "readers", "semaphores"],
  ...["devices", "group", "plans", "policy_launch", "policy_text", "pool_settings"],
  ...["fork", "loops", "task_pool", "task_pool_workers"],
  ...["sched/binding", "sched/explain", "vitals"],
  ...["thread", "thread_helpers", "thread_messages", "topology", "wait_strategy"],
];

/** The commands that run them there, by the runtimes' names. */
export function containerCommands(): Readonly<Record<string, Command>> {
  const commands = commandsFor(unitTestsNamed(NAMES));
  return Object.fromEntries(
    Object.entries(commands).map(([runtime, command]) => [
      runtime,
      (report: string) => [CONTAINER, ...command(report)],
    ]),
  );
}
