import { native } from "../../lib/runtime/native.ts";

const EPERM = -1;

/** Why tests that need memory policies are skipped: false where the system lets this process set them. */
export const noPolicies: string | false = native().calls.nk_policy_set(0, 0) === EPERM &&
  "the system refuses memory policies here";
