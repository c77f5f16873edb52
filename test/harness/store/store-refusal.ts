import { StoreError } from "#src/store/store-error.ts";

/** The StoreError that the work ends with; any other outcome fails the test. */
export function refusal(work: () => unknown): StoreError {
  try {
    work();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error("expected a StoreError");
}
