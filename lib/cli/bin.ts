#!/usr/bin/env node
/**
 * The `numakit` command as a program: importing this module runs it.
 *
 * It is separate from `main.ts` because Node 20 and 22 cannot tell whether a module is the main one, and a package's
 * command is started through a link.
 *
 * @module
 */
import process from "node:process";
import { main } from "./main.ts";

process.exitCode = await main(process.argv.slice(2));
