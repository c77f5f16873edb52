/** Minimum length: a shorter secret that a person chose could be guessed. */
const minSecretChars = 32;

export const secretNames = ["SHIM_SIGNING_SECRET", "SHIM_ADMIN_SECRET"] as const;
export type SecretName = (typeof secretNames)[number];

/** Problem of a secret, without the secret; null: usable. A header holds printable ASCII only. */
export function secretProblem(name: SecretName, value: string | undefined): string | null {
  if (!value) return `${name} is not set`;
  if (value.length < minSecretChars) {
    return `${name} has ${value.length} characters; at least ${minSecretChars} are needed`;
  }
  return /^[!-~]{1,2000}$/.test(value)
    ? null
    : `${name} must be at most 2,000 printable ASCII characters without spaces`;
}
