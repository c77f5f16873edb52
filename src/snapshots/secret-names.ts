const dataSuffix = String.raw`\.(json|ya?ml|toml|ini|xml|csv|txt|conf|cfg|properties|db|enc|bak)`;

/** File names that hold secrets by custom. */
const secretNames: readonly RegExp[] = [
  /^\.env/,
  /(\.env|^env(?=\.))(\.(bak|old|orig|save|local|dev|development|prod|production|stag(e|ing)|test))*$/,
  /^\.dev\.vars/,
  /\.(pem|key|p8|p12|pfx|jks|jceks|bks|keystore|kdbx?|ppk|keytab|ovpn|asc|gpg|pgp|der|kubeconfig|psafe3|agekey)$/,
  /^id_(rsa|dsa|ecdsa|ed25519)/,
  /^[._]netrc$/,
  /^\.(pgpass|my\.cnf|pypirc|git-credentials|htpasswd|dockercfg|vault[-_](token|pass(word)?)|boto|s3cfg|terraformrc)$/,
  // Data, not source: `credentials.ts` is a program's own text.
  new RegExp(String.raw`^\.?(credentials?|secrets?)([-_][^.]*)?((\.[^.]+)?${dataSuffix})?$`),
  new RegExp(String.raw`^[^.]*[-_](credentials|secrets)((\.[^.]+)?${dataSuffix})$`),
  /^[^.]*[-_]credentials$/,
  new RegExp(String.raw`^(passwords?|passwd|api[-_]?keys?)${dataSuffix}$`),
  /^passwords?$/,
  /^(deploy|signing|private|host|ssh|service|access|master|encryption)[-_]?key$/,
  /service[-_]?account.*\.json$/,
  /(firebase[-_]?)adminsdk.*\.json$/,
  /\.tfvars(\.json)?$/,
  /\.tfstate(\..*)?$/,
  /^kubeconfig/,
  /^secring\./,
  /^wallet\.dat$/,
  /^cookies\.(txt|sqlite|json)$/,
];

/** Settings and data that often hold secrets, and as often none: their content decides, by all rules of redaction. */
const unsureNames: readonly RegExp[] = [
  /^\.(mcp|claude)\.json$/,
  /^\.yarnrc(\.yml)?$/,
  /^(settings\.local|local\.settings|appsettings(\..+)?)\.json$/,
  new RegExp(`(^|[-_.])(tokens?|keys?|secrets?|credentials?|passwords?|auth|login|account)([-_.].*)?${dataSuffix}$`),
  /^(hosts|config|admin|kubelet|controller-manager|scheduler)\.(json|ya?ml|toml|conf)$/,
];

const secretFolders = new Set([".ssh", ".gnupg", ".aws", ".kube", ".azure", ".gcloud", ".password-store"]);

/** Why a file is left out for which `looksSecret` is true. */
export const secretName = "its name says that it holds a secret";

/** [GS7] True for a path whose name says that it holds a secret: it is neither copied nor read. */
export function isSecretName(path: string): boolean {
  const parts = path.toLowerCase().split(/[/\\]/);
  const name = parts.pop() ?? "";
  return parts.some((part) => secretFolders.has(part)) || secretNames.some((pattern) => pattern.test(name));
}

/** [GS24] True for a path whose name alone does not decide. */
export function mayHoldSecrets(path: string): boolean {
  const name = path.toLowerCase().split(/[/\\]/).at(-1) ?? "";
  return unsureNames.some((pattern) => pattern.test(name));
}

/** A token, password or login in an npm settings file; a reference to the environment is none. */
export function hasNpmToken(content: string): boolean {
  return /(^|[:\s])(_authToken|_auth|_password|password)\s*=\s*(?!\$\{)\S/im.test(content);
}

export function isNpmSettings(path: string): boolean {
  return /(^|[/\\])\.npmrc$/i.test(path);
}
