/**
 * Imports a module by its URL.
 *
 * A module from JSR may not import one from another web site, and `deno publish` warns of every import whose target it
 * cannot see. So a module of its own does it, which is from nowhere. webpack is told to leave the import alone: it would
 * look for the module while it bundles.
 *
 * @param url The module, as an absolute URL.
 * @returns What it exports.
 */
export async function importModule(url: string): Promise<{ default?: unknown }> {
  const { load } = await import(
    /* webpackIgnore: true */
    // @ts-ignore: Deno knows what is in a data: module, tsc does not.
    "data:text/javascript,export const load = (url) => import(url);"
  );
  return await load(url);
}
