import { builtin } from "./builtin.ts";

/** The part of Deno's permission interface that is used here. */
interface DenoPermissions {
  permissions: { querySync(descriptor: { name: "env"; variable: string }): { state: string } };
}

/**
 * Reads an environment variable, never asking the user for a permission: where Deno has not been given `--allow-env`
 * for it, it counts as not set.
 *
 * @param name The variable.
 * @returns Its value; undefined when it is not set or empty.
 */
export function readEnv(name: `NUMAKIT_${string}` | `HWLOC_${string}`): string | undefined {
  const { Deno } = globalThis as { Deno?: DenoPermissions };
  if (Deno !== undefined) {
    const { state } = Deno.permissions.querySync({ name: "env", variable: name });
    if (state !== "granted") return undefined;
  }
  return builtin("node:process").env[name] || undefined;
}
