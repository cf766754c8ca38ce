/**
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties
 */
export interface Condition {
  readonly type: 'Accepted' | 'Ready' | 'Failing' | 'Pending' | 'Expired' | 'NeverMatched';
  readonly status: 'True' | 'False';
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
}

export const accepted: Condition = { type: 'Accepted', status: 'True', reason: 'Valid', message: '' };

export function refused(reason: string, message: string): Condition {
  return { type: 'Accepted', status: 'False', reason, message };
}
