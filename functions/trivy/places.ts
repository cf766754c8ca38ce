import { isPresent } from '../../shared/finding/values.ts';

/**
 * A number with dots, what stands for "version" before it, and what may follow it: `-2.14.1`, `@v1.0.0-rc.1`,
 * `-4.1.86.Final`, `-1.0-20260301.101500-7`.
 */
const version =
  /[-_.@]?v?(?<!\d)\d+(?:\.\d+)+(?:[-+._~]?(?:rc|cr|beta|alpha|ga|final|release|snapshot|sp|pre|post|dev|build|m|b|a|p|r)(?![a-z])(?:[-.]?\d+)?|[-+._~]\d+(?!\w))*/gi;

/** A number without a dot is a version only right before the extension of an archive, as in `guava-19.jar`. */
const shortVersion = /-v?\d+(?=\.(?:jar|war|ear|zip|tgz|gem|gemspec|whl|nupkg|dist-info|egg-info)\b)/gi;

/** Nix names a folder for the hash of what it was built from. */
const buildHash = /(?<=nix\/store\/)[0-9a-z]{32}-/g;

/** A path as it stays when what lies there is upgraded. */
export function withoutVersions(path: string): string {
  return path.replace(buildHash, '').replace(version, '').replace(shortVersion, '');
}

/** `library/nginx:1.27 (debian 13.1)`: the operating system that was recognized. */
const osSuffix = / \([a-z][a-z0-9. -]* \S*\d\S*\)$/i;
const reference = /^([^@]*?)(?::\w[\w.-]{0,127})?(?:@\w+:[0-9a-f]{32,})?$/;
const registryHost = /^[^/]*[.:][^/]*\//;

/** An image's name without what may be left out of it. */
function shortName(name: string): string {
  return name.replace(registryHost, '').replace(/^library\//, '');
}

interface Target {
  readonly target?: string | null | undefined;
  readonly class?: string | null | undefined;
}

/**
 * Where in the image something was found, such as `usr/bin/gosu` or `Java`. Of the operating system's packages, Trivy
 * gives the image's own name and tag instead, which is no place and changes with each release.
 */
export function placeOf({ target, class: type }: Target, repository: string | undefined): string | undefined {
  if (!isPresent(target) || !target || type === 'os-pkgs' || osSuffix.test(target)) return undefined;
  const name = reference.exec(target)?.[1] ?? target;
  const isImage = repository !== undefined && shortName(name) === shortName(repository);
  const hasTag = name !== target;
  if (isPresent(type)) return hasTag && isImage ? undefined : target;
  // A file in the image's root may have the image's name, as `manager` often does.
  return hasTag || (isImage && name.includes('/')) ? undefined : target;
}

/** The prefixes of Trivy's own checks. Whoever wrote others chose their names. */
const ownCheck = /^(?:AVD-)?(KSV|KCV|DS|AWS|AZU|GCP|DIG|GIT|NIF|OCI|KUBE|OPNSTK|CLDSTK|ORCL)-?([0-9]{1,5})$/i;

/** One spelling for KSV014, AVD-KSV-0014 and KSV-0014, which are one check in three versions of Trivy. */
export function checkIdOf(id: string): string {
  return id.replace(
    ownCheck,
    (_id, prefix: string, number: string) => `${prefix.toUpperCase()}-${number.padStart(4, '0')}`,
  );
}
