// A client like the original one: reads aes_key.bin, encrypts one text with OpenSSL, connects, sends, closes.
// Usage: origin-client KEYFILE PORT TEXT
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  unsigned char key[16], iv[16];
  std::ifstream file(argv[1], std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(key), 16).read(reinterpret_cast<char*>(iv), 16)) return 3;

  const std::string text = argv[3];
  std::vector<unsigned char> sealed(text.size() + 16);
  int length = 0, rest = 0;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_EncryptInit_ex(context, EVP_aes_128_cbc(), nullptr, key, iv);
  EVP_EncryptUpdate(context, sealed.data(), &length, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  if (EVP_EncryptFinal_ex(context, sealed.data() + length, &rest) != 1) return 6;
  EVP_CIPHER_CTX_free(context);

  const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(std::atoi(argv[2]));
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  if (connect(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 5;
  send(socket_fd, sealed.data(), length + rest, 0);
  close(socket_fd);
}
