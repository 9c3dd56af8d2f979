/* A USB camera that is not there: the V4L2 calls of one device, answered from a socket.

   Preloaded into a process (LD_PRELOAD), it takes the calls on the device whose path is in
   V4L2_CAMERA: that path is a UNIX socket, from which JPEG files come, each behind its length (4 bytes,
   little-endian). Only what OpenCV asks for is there: streaming by mmap, one format, one control. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFERS 4
#define BYTES (1 << 20)

static int device = -1;
static void *buffers[BUFFERS];
static int queue[BUFFERS], queued;
static unsigned width = 640, height = 480, frames;
static int brightness = 128;

static int open_device(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, getenv("V4L2_CAMERA"), sizeof address.sun_path - 1);
    int file = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(file, (struct sockaddr *)&address, sizeof address) != 0) {
        close(file);
        errno = ENODEV;
        return -1;
    }
    queued = 0;
    return device = file;
}

static int is_camera(const char *path)
{
    const char *ours = getenv("V4L2_CAMERA");
    return ours != NULL && path != NULL && strcmp(path, ours) == 0;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode_t mode = va_arg(list, mode_t);                                                        \
        va_end(list);                                                                              \
        if (is_camera(path))                                                                       \
            return open_device();                                                                  \
        int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #name);                             \
        return real(path, flags, mode);                                                            \
    }
OPEN(open)
OPEN(open64)

int close(int file)
{
    if (file >= 0 && file == device)
        device = -1;
    int (*real)(int) = dlsym(RTLD_NEXT, "close");
    return real(file);
}

#define MMAP(name, offset_t)                                                                       \
    void *name(void *start, size_t length, int protection, int flags, int file, offset_t offset)   \
    {                                                                                              \
        void *(*real)(void *, size_t, int, int, int, offset_t) = dlsym(RTLD_NEXT, #name);          \
        if (file < 0 || file != device)                                                            \
            return real(start, length, protection, flags, file, offset);                           \
        flags = MAP_PRIVATE | MAP_ANONYMOUS;                                                       \
        return buffers[offset / BYTES] = real(NULL, length, PROT_READ | PROT_WRITE, flags, -1, 0); \
    }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

static int fail(int number)
{
    errno = number;
    return -1;
}

static int dequeue(struct v4l2_buffer *buffer)
{
    uint32_t size;
    ssize_t come = recv(device, &size, sizeof size, MSG_PEEK | MSG_DONTWAIT);
    if (come == 0)
        return fail(ENODEV);
    if (come < (ssize_t)sizeof size || queued == 0)
        return fail(EAGAIN);
    int number = queue[0];
    memmove(queue, queue + 1, --queued * sizeof *queue);
    recv(device, &size, sizeof size, MSG_WAITALL);
    if (size > BYTES || recv(device, buffers[number], size, MSG_WAITALL) != (ssize_t)size)
        return fail(ENODEV);
    buffer->index = number;
    buffer->bytesused = size;
    buffer->length = BYTES;
    buffer->flags = 0;
    buffer->sequence = frames++;
    return 0;
}

static void describe(struct v4l2_pix_format *picture)
{
    picture->width = width;
    picture->height = height;
    picture->pixelformat = V4L2_PIX_FMT_MJPEG;
    picture->sizeimage = BYTES;
    picture->field = V4L2_FIELD_NONE;
}

static int answer(unsigned long request, void *data)
{
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *capability = data;
        memset(capability, 0, sizeof *capability);
        strcpy((char *)capability->card, "camera from a socket");
        capability->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_S_FMT: {
        struct v4l2_pix_format *picture = &((struct v4l2_format *)data)->fmt.pix;
        width = picture->width ? picture->width : width;
        height = picture->height ? picture->height : height;
        describe(picture);
        return 0;
    }
    case VIDIOC_G_FMT:
        describe(&((struct v4l2_format *)data)->fmt.pix);
        return 0;
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_captureparm *capture = &((struct v4l2_streamparm *)data)->parm.capture;
        capture->capability = V4L2_CAP_TIMEPERFRAME;
        return 0;
    }
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *wanted = data;
        wanted->count = wanted->count > BUFFERS ? BUFFERS : wanted->count;
        return 0;
    }
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = data;
        buffer->length = BYTES;
        buffer->m.offset = buffer->index * BYTES;
        return 0;
    }
    case VIDIOC_QBUF:
        if (queued < BUFFERS)
            queue[queued++] = ((struct v4l2_buffer *)data)->index;
        return 0;
    case VIDIOC_DQBUF:
        return dequeue(data);
    case VIDIOC_STREAMON:
        return 0;
    case VIDIOC_STREAMOFF:
        queued = 0;
        return 0;
    case VIDIOC_QUERYCTRL: {
        struct v4l2_queryctrl *control = data;
        if (control->id != V4L2_CID_BRIGHTNESS)
            return fail(EINVAL);
        control->type = V4L2_CTRL_TYPE_INTEGER;
        control->minimum = 0;
        control->maximum = 255;
        return 0;
    }
    case VIDIOC_S_CTRL:
    case VIDIOC_G_CTRL: {
        struct v4l2_control *control = data;
        if (control->id != V4L2_CID_BRIGHTNESS)
            return fail(EINVAL);
        if (request == VIDIOC_S_CTRL) {
            unsigned char told = brightness = control->value;
            send(device, &told, 1, MSG_NOSIGNAL); /* so that the test learns of it */
        }
        control->value = brightness;
        return 0;
    }
    default:
        return fail(EINVAL);
    }
}

int ioctl(int file, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *data = va_arg(list, void *);
    va_end(list);
    /* Some callers pass the request as a signed int. */
    if (file >= 0 && file == device)
        return answer(request & 0xffffffffUL, data);
    int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    return real(file, request, data);
}
