// SentencePiece writes its progress and its errors to stderr; errors come back as a status as well.
#pragma once

namespace sentencepiece::logging {
void SetMinLogLevel(int level);  // exported by the library, declared in none of its public headers
}

namespace rw {

inline void quiet_sentencepiece() { sentencepiece::logging::SetMinLogLevel(3); }  // only what ends the process

}  // namespace rw
