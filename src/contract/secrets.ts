/** The secrets of a deployment. Below this length a secret that a person has chosen could be guessed. */
const minSecretChars = 32;

/** The names of both, as wrangler and `.dev.vars` know them. */
export const secretNames = ["SHIM_SIGNING_SECRET", "SHIM_ADMIN_SECRET"] as const;
export type SecretName = (typeof secretNames)[number];

/** What is wrong with a secret, without the secret itself; null: it can be used. A header holds printable ASCII only. */
export function secretProblem(name: SecretName, value: string | undefined): string | null {
  if (!value) return `${name} is not set`;
  if (value.length < minSecretChars) {
    return `${name} has ${value.length} characters; at least ${minSecretChars} are needed`;
  }
  return /^[!-~]{1,2000}$/.test(value)
    ? null
    : `${name} must be at most 2,000 printable ASCII characters without blanks`;
}
