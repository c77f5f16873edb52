import * as z from "zod";
import { Json } from "../json.ts";
import { machineOperation } from "./operation.ts";

const key = z.string().max(200);
const Setting = z.object({ key: z.string(), value: Json });

export const configOperations = {
  "config.show": machineOperation({
    summary: "The settings of this machine, and the path of their file.",
    output: z.object({ path: z.string(), config: z.record(z.string(), z.unknown()) }),
    errors: ["config_invalid"],
    effect: "read",
  }),
  "config.get": machineOperation({
    summary: "One setting, such as risk.levels.danger.",
    input: z.strictObject({ key }),
    output: Setting,
    errors: ["bad_input", "config_invalid"],
    effect: "read",
    example: { key: "risk.levels.danger" },
  }),
  "config.set": machineOperation({
    summary: "Change a setting; comments in the file stay.",
    input: z.strictObject({ key, value: Json }),
    output: Setting,
    errors: ["bad_input", "config_invalid"],
    effect: "write",
    doneBy: "caller",
    example: { key: "risk.levels.danger", value: 0.8 },
  }),
  "config.unset": machineOperation({
    summary: "Go back to the default.",
    input: z.strictObject({ key }),
    output: Setting,
    errors: ["bad_input", "config_invalid"],
    effect: "write",
    doneBy: "caller",
    example: { key: "risk.levels.danger" },
  }),
};
