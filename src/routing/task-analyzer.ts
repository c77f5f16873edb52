import type { Json } from "../contract/json.ts";
import { Job } from "../contract/plans.ts";
import { isRecord } from "../shared/json-fields.ts";
import { analyze, analyzePrompt, type Analysis } from "./prompt-analyzer.ts";

/** The payload of a task: a text, a job, or an object with texts. */
export function analyzeTask(payload: Json): Analysis {
  if (typeof payload === "string") return analyzePrompt(payload);
  const job = Job.safeParse(payload);
  if (job.success) {
    const { title, text, files, kinds } = job.data;
    return analyze({ title, text, files: files.map((file) => file.path), kinds, payload: job.data.payload });
  }
  return analyze({ title: "", text: textsOf(payload), files: [], kinds: [], payload: null });
}

const maxDepth = 6;

function textsOf(value: Json, depth = 0): string {
  if (typeof value === "string") return value;
  if (depth > maxDepth || value === null || typeof value !== "object") return "";
  const parts = Array.isArray(value) ? value : isRecord(value) ? Object.values(value) : [];
  return parts
    .map((part) => textsOf(part, depth + 1))
    .filter((text) => text !== "")
    .join("\n");
}
