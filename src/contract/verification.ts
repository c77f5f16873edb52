import * as z from "zod";

/** A run of the project's tests on the files of a snapshot. */
export const TestRun = z.strictObject({
  /** Epoch ms of its end. */
  at: z.int(),
  /** Commit of the snapshot in SHIM's repository; null: there was none to test. */
  commit: z.string().max(64).nullable(),
  /** Program with its arguments; null: none was found. */
  command: z.string().max(500).nullable(),
  /** Exit code; null: the tests did not run to their end, for the reason in `trouble`. */
  exitCode: z.int().nullable(),
  trouble: z.string().max(500).nullable(),
  ms: z.int().min(0),
  /** Last characters that it printed. */
  output: z.string().max(4_000),
  /** Files of the snapshot that could not be written for the tests. */
  missingFiles: z.int().min(0),
});
export type TestRun = z.infer<typeof TestRun>;

/** Answer of a remote that was asked about an effect. */
export const RemoteAnswer = z.object({
  /** Key of the effect, see `effectKey`. */
  key: z.string(),
  text: z.string(),
});
export type RemoteAnswer = z.infer<typeof RemoteAnswer>;

/** The newest verification of a session; an earlier one is replaced. */
export const Verification = z.object({
  /** Epoch ms. */
  at: z.int(),
  tests: TestRun,
  remotes: z.array(RemoteAnswer).readonly(),
});
export type Verification = z.infer<typeof Verification>;
