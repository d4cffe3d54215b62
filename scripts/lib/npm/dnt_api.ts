/**
 * The part of dnt's public interface (0.43) that is used here, so that the options are checked where JSR is out of
 * reach. Where it can be reached, the program that runs dnt checks them against dnt's own types.
 *
 * @module
 */

/** A module of the package. */
export interface DntEntryPoint {
  readonly kind?: "bin" | "export";
  readonly name: string;
  readonly path: string;
}

/** What dnt's `build` takes. */
export interface DntBuildOptions {
  entryPoints: (string | DntEntryPoint)[];
  outDir: string;
  shims: { deno?: boolean | "dev"; timers?: boolean | "dev"; crypto?: boolean | "dev" };
  typeCheck?: "both" | "single" | false;
  test?: boolean;
  declaration?: "inline" | "separate" | false;
  declarationMap?: boolean;
  scriptModule?: "cjs" | "umd" | false;
  esModule?: boolean;
  skipNpmInstall?: boolean;
  skipSourceOutput?: boolean;
  package: { name: string; version: string; [property: string]: unknown };
  importMap?: string;
  packageManager?: string;
  compilerOptions?: {
    target?: "ES2021" | "ES2022" | "ES2023" | "Latest";
    lib?: string[];
    noUncheckedIndexedAccess?: boolean;
    skipLibCheck?: boolean;
    importHelpers?: boolean;
  };
}
