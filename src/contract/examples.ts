import type * as z from "zod";
import { exampleSelf } from "./values.ts";

/** Pure. Values that fields have in the examples of documents, and in tests. */
const values: Readonly<Record<string, unknown>> = {
  after: 0,
  chat: "c1",
  claim: 1,
  device: "d1",
  experiment: "exp_0a1b2c3d",
  file: "/home/you/5f0e.shim",
  folder: "/home/you/app",
  id: "0".repeat(44),
  job: { title: "rename the store", files: [{ path: "a.ts" }, { path: "b/c.ts" }] },
  key: "k",
  machine: "m1",
  name: "main",
  pattern: "build.*",
  process: "boot-1/1/100",
  reason: "not wanted",
  request: "k3v9",
  requestId: "r1",
  resource: "file:p/a.ts",
  self: exampleSelf,
  session: "5f0e0e5e",
  task: 1,
  token: 1,
  url: "https://shim.example.com",
  watch: "w1",
  workspace: "team",
};

/** The fields that an input must have, and those that an operation shows besides or otherwise. */
export function exampleOf<Input extends z.ZodObject>(
  input: Input,
  shown: Partial<z.input<Input>> = {},
): z.input<Input> {
  const needed = Object.entries(input.shape).filter(([, field]) => field._zod.optin === undefined);
  const usual = needed.flatMap(([name]) => (name in values ? [[name, values[name]]] : []));
  return { ...Object.fromEntries(usual), ...shown } as z.input<Input>;
}
