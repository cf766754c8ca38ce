import { readFileSync } from 'node:fs';
import type { Server } from 'node:tls';
import { oneLine } from '../finding/one-line.ts';
import type { Log } from './log.ts';

/** Mounted files (PEM): the certificate with what leads to its CA, and the key. */
export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Says each fault once. That there are no files yet is none: nobody may want https. */
function createComplaint(log: Log): (error: unknown, isServed: boolean) => void {
  let said: string | undefined;
  return (error, isServed) => {
    const reason = oneLine(error instanceof Error ? error.message : String(error), 256);
    if (reason === said) return;
    said = reason;
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (isMissing && !isServed) log.info({ operation: 'https' }, 'https is served from when there is a certificate');
    else {
      const instead = isServed ? 'the one before is used' : 'https is not served';
      log.warn({ operation: 'https', reason }, `there is no valid certificate: ${instead}`);
    }
  };
}

/**
 * Gives a server the certificate that is in the files now, before each handshake: reading two small files costs far less than that.
 * Until there is one, handshakes fail; while there is a bad one, that before is used.
 */
export function useCertificate(server: Server, { certificateFile, keyFile }: CertificateFiles, log: Log): void {
  const complain = createComplaint(log);
  let known = '';
  function update(): void {
    try {
      const [cert, key] = [readFileSync(certificateFile, 'utf8'), readFileSync(keyFile, 'utf8')];
      if (cert + key === known) return;
      server.setSecureContext({ cert, key });
      known = cert + key;
      log.info({ operation: 'https' }, 'https is served with the certificate that is there now');
    } catch (error) {
      complain(error, known !== '');
    }
  }
  update();
  server.prependListener('connection', update);
}
