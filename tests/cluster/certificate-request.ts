import { generateKeyPairSync, sign } from 'node:crypto';

/** https://www.rfc-editor.org/rfc/rfc2986, as far as an API server looks at it. */

function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const size = content.length;
  const long = size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...(size < 128 ? [size] : long)]), content]);
}

const sequence = (...contents: readonly Uint8Array[]): Buffer => der(0x30, ...contents);
const objectId = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));

function nameOf(user: string, group: string): Buffer {
  const part = (id: string, text: string): Buffer => der(0x31, sequence(objectId(id), der(0x0c, Buffer.from(text))));
  return sequence(part('55040a', group), part('550403', user));
}

/** A request for a certificate of a user in a group, as the API takes it: PEM in base64. */
export function certificateRequest(user: string, group: string): string {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const version = der(0x02, Buffer.from([0]));
  const key = publicKey.export({ type: 'spki', format: 'der' });
  const info = sequence(version, nameOf(user, group), key, der(0xa0));
  const algorithm = sequence(objectId('2a8648ce3d040302'));
  const signature = der(0x03, Buffer.from([0]), sign('sha256', info, privateKey));
  const body = sequence(info, algorithm, signature).toString('base64');
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${body.replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE REQUEST-----\n`;
  return Buffer.from(pem).toString('base64');
}
