/**
 * The `numakit` command, as a function; `bin.ts` is the program.
 *
 * @module
 */
import { Command } from "commander";
import { NumaError } from "../base/error.ts";
import { VERSION } from "../base/version.ts";
import { topology } from "../topology/load.ts";
import { runDemo } from "./demo.ts";
import { complain, outputStatus, write } from "./output.ts";
import { drawTopology } from "./topo.ts";

function makeProgram(): Command {
  const program = new Command("numakit")
    .description("See the machine, put memory on a NUMA node, pin threads next to it.")
    .version(VERSION, "-v, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .configureOutput({ writeOut: write, writeErr: complain })
    .showHelpAfterError();
  program.command("topo")
    .description(
      "show this machine: nodes, memory, hugepages, caches, distances, and what this process may use",
    )
    .option("--json", "print the snapshot as JSON (docs/topology-schema.md)")
    .action((options: { json?: true }) => {
      const text = options.json === true
        ? `${JSON.stringify(topology(), null, 2)}\n`
        : drawTopology(topology());
      write(text);
    });
  program.command("demo")
    .description("place an arena on node 0, verify where it is, and run a pinned worker in it")
    .action(runDemo);
  return program;
}

/**
 * Runs the command.
 *
 * @param args The arguments after the command's name.
 * @returns The exit status: 0 for success, 1 for a failure, 2 for arguments it does not understand, 141 when nobody reads
 * its output.
 */
export async function main(args: readonly string[]): Promise<number> {
  const program = makeProgram();
  program.exitOverride();
  for (const command of program.commands) command.exitOverride().showHelpAfterError();
  try {
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    if ((error as Error).name === "CommanderError") {
      return (error as { exitCode: number }).exitCode === 0 ? 0 : 2;
    }
    const status = outputStatus(error);
    if (status !== undefined) return status;
    if (!(error instanceof NumaError)) throw error;
    complain(`numakit: ${error.code}: ${error.message}\n`);
    return 1;
  }
}
