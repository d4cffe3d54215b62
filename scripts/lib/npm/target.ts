/** The oldest Node that numakit runs on; it cannot parse `using`, for one. */
export const TARGET = "node20";
