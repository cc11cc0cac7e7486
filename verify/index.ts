/** Checks a deployment from outside, and says what it found. */

export { verify, type VerifyOptions } from "./deployment";
export { renderJson, renderJunit, renderTable, type Report } from "./report";
export { readTargets, TargetError, type Overrides, type Targets } from "./targets";
