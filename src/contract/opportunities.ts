/** Kinds of findings in SHIM's own records: the labels of a metric, so a closed set. */
export const opportunityPatterns = [
  "old_checkpoint_at_death",
  "context_full_unseen",
  "out_of_memory_unseen",
  "large_store",
  "offers_dismissed",
  "task_timeouts",
  "task_stalls",
  "uneven_load",
  "cheaper_model",
  "evolve_rejected",
] as const;
export type OpportunityPattern = (typeof opportunityPatterns)[number];
